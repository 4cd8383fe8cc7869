"""Log lines: only when asked for, on standard error, without control characters."""

import json
from collections.abc import Iterator

import pytest
import structlog

from coinwatch.logs import configure_logs, escape_values


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_values_are_escaped_and_stay_on_one_line() -> None:
    event = {"event": "failed\x1b[2J", "error": "a\nforged line", "route": "/\u202e", "code\x9b": 5}
    assert escape_values(None, "info", event) == {
        "event": r"failed\x1b[2J",
        "error": r"a\nforged line",
        "route": r"/\u202e",
        r"code\x9b": 5,
    }


def test_traceback_is_logged_with_its_lines_but_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs()
    try:
        int("\x1b]0;title\x07")
    except ValueError:
        structlog.get_logger().exception("unexpected")
        structlog.get_logger().info("expected")
    line, other = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert "exc_info" not in logged
    assert "exception" not in json.loads(other)
    assert logged["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert logged["exception"].splitlines()[-1].startswith("ValueError: ")
    assert "\x1b" not in logged["exception"]


def test_nothing_is_logged_unless_enabled(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(enabled=False)
    structlog.get_logger().error("not shown")
    assert capsys.readouterr().err == ""
    configure_logs()
    structlog.get_logger().info("shown")
    assert json.loads(capsys.readouterr().err)["event"] == "shown"
