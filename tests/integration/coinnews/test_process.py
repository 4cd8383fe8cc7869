"""The coinnews server as a process: ports, restarts after a kill, and the real adapter on top."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from coinwatch.coinnews.server import serve
from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.models import Instrument
from coinwatch.exchanges.registry import open_exchange
from coinwatch.exchanges.timestamps import parse_rfc3339
from coinwatch.settings import load_settings
from tests.support.ports import free_port

SERVE = """
import sys
from pathlib import Path
from coinwatch.coinnews.server import serve
serve("127.0.0.1", int(sys.argv[1]), Path(sys.argv[2]), 7, Path(sys.argv[3]), 600.0)
"""


@contextmanager
def running(port: int, data_dir: Path, recording: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port), str(data_dir), str(recording)])
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
                break
            except requests.RequestException:
                assert process.poll() is None, "coinnews ended"
                assert time.monotonic() < deadline, "coinnews did not start"
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "market.csv"
    rows = [
        f"2022-01-01 {minute // 60:02d}:{minute % 60:02d}:00,{price},{price},{price},{price},1\n"
        for minute, price in enumerate(100.0 + number for number in range(1200))
    ]
    file.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    return file


def test_replay_continues_after_a_kill(tmp_path: Path, recording: Path) -> None:
    port = free_port()
    adapter = open_exchange("coinnews", load_settings(exchanges={"coinnews": {"base_url": f"http://127.0.0.1:{port}"}}))
    instruments = [Instrument("coinnews", base, "USD", adapter.symbol_for(base, "USD")) for base in ("BTC", "ETH")]
    replay = f"http://127.0.0.1:{port}/api/replay"

    with running(port, tmp_path / "data", recording) as process:
        state = requests.get(replay, timeout=5).json()
        first = adapter.fetch_quotes(instruments).quotes[0]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(port, tmp_path / "data", recording):
        assert requests.get(replay, timeout=5).json() == state
        second = adapter.fetch_quotes(instruments).quotes[0]
    adapter.close()

    assert second.observed_at > first.observed_at
    for quote in (first, second):
        started_at = state["started_at"]
        assert quote.price == 100.0 + candle(quote.observed_at.timestamp(), started_at, state["speed"])


def test_port_in_use_is_an_error(tmp_path: Path, recording: Path) -> None:
    port = free_port()
    with (
        running(port, tmp_path / "data", recording),
        pytest.raises(ConfigurationError, match=rf"Port {port} on 127\.0\.0\.1 is in use.*--port"),
    ):
        serve("127.0.0.1", port, tmp_path / "other")


def candle(observed_at: float, started_at: str, speed: float) -> int:
    """Which candle of the recording a quote shows, from its time alone."""
    return round((observed_at - parse_rfc3339(started_at).timestamp()) * speed / 60)
