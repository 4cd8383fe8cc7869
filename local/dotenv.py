"""Reads .env files by the rules of python-dotenv, with which the library reads the same file; a property test compares.

local_run.sh imports this module. docker_run.sh runs it as a file, also on machines without python-dotenv:
``python3 -I dotenv.py NAME < FILE`` writes ``NAME=value`` pairs and an empty one, each ended by a NUL; the argument
names the file in errors. Standard library only, and no syntax newer than Python 3.7.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Mapping

# The addresses of the stack that local_run.sh runs, which the user does not set.
BLOCK_BEGIN = "# --- addresses of the local stack: written by local_run.sh at every start, do not edit ---"
BLOCK_END = "# --- end of the addresses ---"
BLOCK = re.compile(re.escape(BLOCK_BEGIN) + r".*?(?:" + re.escape(BLOCK_END) + r"\n?|\Z)", re.DOTALL)

SPACE = re.compile(r"\s*")
COMMENT = re.compile(r"(?:export[^\S\r\n]+)?#[^\r\n]*")
EXPORT = re.compile(r"(?:export[^\S\r\n]+)?")
NAME = re.compile(r"(?:'([^']+)'|([^'=\#\s][^=\#\s]*))[^\S\r\n]*=([^\S\r\n]*)")
SINGLE_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL)
DOUBLE_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
UNQUOTED = re.compile(r"([^\r\n]*)")
LINE_END = re.compile(r"[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r|$)")
REFERENCE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"'}


class InvalidLine(ValueError):
    """A line is not NAME=value. It may be a secret, so the error has only its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def explain(self, name: str) -> str:
        """A sentence about the file ``name``."""
        return f"Line {self.number} of {name} is not NAME=value. Quote values with quotes or line breaks in them."


def parse_dotenv(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The values of a file by name. ``${NAME}`` is an earlier value of the file, or one of ``environment``.

    A byte order mark is skipped. Raises InvalidLine for a line that python-dotenv would skip with a warning.
    """
    values: dict[str, str] = {}
    position = 1 if text.startswith("\ufeff") else 0
    while True:
        position = _match(SPACE, text, position).end()
        comment = COMMENT.match(text, position)
        if comment:
            position = comment.end()
        elif position == len(text):
            return values
        else:
            name, value, position = _parse_line(text, position)
            values[name] = _resolve(value, {**environment, **values})


def without_addresses(text: str) -> str:
    """The text with empty lines in place of the block of addresses, so that line numbers stay the same."""
    return BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)


def main(name: str) -> str | None:
    """Write the pairs of the file on standard input; returns an error message, or None."""
    try:
        text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read()
        values = parse_dotenv(without_addresses(text), os.environ)
    except UnicodeDecodeError as error:
        return f"{name} is not valid UTF-8 (byte {error.start}). Save it as UTF-8."
    except InvalidLine as error:
        return error.explain(name)
    for key, value in values.items():
        sys.stdout.buffer.write(f"{key}={value}\0".encode(errors="surrogateescape"))
    sys.stdout.buffer.write(b"\0")
    return None


def _parse_line(text: str, start: int) -> tuple[str, str, int]:
    """The name, the value before references are resolved, and the position of the next line."""
    name = NAME.match(text, _match(EXPORT, text, start).end())
    if name is None:
        raise _invalid(text, start)
    position = name.end()
    quote = text[position : position + 1]
    if quote == "#" and name[3]:
        value = ""
    elif quote in ("'", '"'):
        quoted = (SINGLE_QUOTED if quote == "'" else DOUBLE_QUOTED).match(text, position)
        if quoted is None:
            raise _invalid(text, start)
        value, position = _unescape(quoted[1], quote), quoted.end()
    else:
        line = _match(UNQUOTED, text, position)
        value, position = re.sub(r"\s+#.*", "", line[1]).rstrip(), line.end()
    end = LINE_END.match(text, position)
    if end is None:
        raise _invalid(text, start)
    return name[1] or name[2], value, end.end()


def _unescape(value: str, quote: str) -> str:
    escapes = {"\\": "\\", "'": "'", **(ESCAPES if quote == '"' else {})}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[0]), value, flags=re.DOTALL)


def _resolve(value: str, environment: Mapping[str, str]) -> str:
    return REFERENCE.sub(lambda found: environment.get(found[1], found[2] or ""), value)


def _match(pattern: re.Pattern[str], text: str, position: int) -> re.Match[str]:
    """For a pattern that also matches the empty string."""
    found = pattern.match(text, position)
    assert found is not None  # noqa: S101
    return found


def _invalid(text: str, start: int) -> InvalidLine:
    return InvalidLine(len(re.findall(r"\r\n|\n|\r", text[:start])) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
