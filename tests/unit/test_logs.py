"""Log lines of processes without a terminal: one JSON object each."""

import json
import subprocess
import sys

SCRIPT = """
import structlog
from coinwatch.logs import configure_logs
configure_logs()
log = structlog.get_logger()
try:
    {}["missing key"]
except KeyError:
    log.exception("request failed", route="/coins/{coin}")
log.info("request", status=500)
"""


def test_unexpected_error_has_a_traceback_on_its_line() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    failed, other = (json.loads(line) for line in done.stderr.splitlines())
    assert failed["route"] == "/coins/{coin}"
    assert failed["exception"].startswith("Traceback (most recent call last):")
    assert failed["exception"].endswith("KeyError: 'missing key'")
    assert "exc_info" not in failed
    assert "exception" not in other
