"""Printing log files: without colors, and with characters that control a terminal as escapes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from coinwatch.formatting import escape_control_characters

COLOR = re.compile("\x1b\\[[0-9;]*m")


def print_logs(files: Iterable[Path], lines: int, *, follow: bool) -> int:
    """Print the last lines of each file, and with ``follow`` also new ones. Returns the exit code of ``tail``."""
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        try:
            for line in tail.stdout or ():
                print(printable(line.decode(errors="backslashreplace").removesuffix("\n")), flush=True)
        except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C, or `logs | head`
            tail.terminate()
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  the interpreter flushes it when it exits
    return tail.returncode


def printable(line: str) -> str:
    """A line of a log, which may contain what strangers sent, as plain text. Tabs are kept."""
    return "\t".join(escape_control_characters(part) for part in COLOR.sub("", line).rstrip("\r").split("\t"))
