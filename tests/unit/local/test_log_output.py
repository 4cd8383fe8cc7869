"""Printing log files, which contain what strangers sent."""

from pathlib import Path

import pytest

from local.log_output import print_logs, printable

HOSTILE = "GET /\x1b]0;owned\x07\x9b2J\u202egnp.exe"


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        (HOSTILE, r"GET /\x1b]0;owned\x07\x9b2J\u202egnp.exe"),
        ("\x1b[31mred\x1b[0m\tand tabs\r", "red\tand tabs"),
        ("naïve 币安人生 €", "naïve 币安人生 €"),
    ],
)
def test_control_characters_are_escaped_and_colors_removed(line: str, printed: str) -> None:
    assert printable(line) == printed


def test_log_lines_reach_the_terminal_as_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"first\n" + HOSTILE.encode() + b"\xff\n")
    assert print_logs([log], 1, follow=False) == 0
    assert capfd.readouterr().out == r"GET /\x1b]0;owned\x07\x9b2J\u202egnp.exe\xff" + "\n"
