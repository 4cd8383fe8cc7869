"""``coinwatch backfill``: results, failures, interruption, progress bar."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle
from tests.support.command_line import Command

CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin", coingecko_id = "bitcoin" }}
ETH = {{ name = "Ethereum" }}
[exchanges.binance]
name = "Binance"
enabled = true
timeout_seconds = 5
base_url = "{binance}"
instruments = ["BTC/USDT", "ETH/USDT"]
[exchanges.coinbase]
name = "Coinbase"
enabled = true
timeout_seconds = 5
base_url = "{coinbase}"
history_calls_per_second = 8
instruments = ["BTC/USD"]
[exchanges.coingecko]
name = "CoinGecko"
enabled = true
base_url = "{coingecko}"
instruments = ["BTC/USD"]
"""


@pytest.fixture
def environment(environment: dict[str, str], exchange_server: ExchangeServer, tmp_path: Path) -> dict[str, str]:
    configuration = tmp_path / "coinwatch.toml"
    addresses = {code: exchange_server.base_url(code) for code in ("binance", "coinbase", "coingecko")}
    configuration.write_text(CONFIGURATION.format(**addresses))
    return environment | {"COINWATCH_CONFIG": str(configuration), "COINWATCH_LOG_LEVEL": "ERROR", "COLUMNS": "160"}


@pytest.fixture
def coinwatch(coinwatch: Command) -> Command:
    assert coinwatch("migrate").returncode == 0
    return coinwatch


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("coinwatch")), *arguments]


def test_time_range_is_fetched_once(coinwatch: Command, exchange_server: ExchangeServer) -> None:
    days = ["--from", "2026-01-05", "--to", "2026-01-06"]
    first = coinwatch("backfill", "--exchange", "binance", "--instrument", "btc/usdt", *days)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("binance: 2,880 new candles, 0 corrected, 0 unchanged, 3 requests, 0 time ranges")
    again = coinwatch("backfill", "--exchange", "binance", "--instrument", "BTC/USDT", *days)
    assert "0 requests" in again.stdout
    assert "pass --again" in again.stdout
    everything: dict[str, Any] = json.loads(
        coinwatch("backfill", "--exchange", "binance", *days, "--again", "--json").stdout
    )
    assert everything["stored"] == {"inserted": 2880, "corrected": 0, "unchanged": 2880}
    assert len(exchange_server.requests("binance")) == 9
    logged = json.loads(coinwatch("audit", "--action", "candles.backfill", "--json").stdout)
    assert [(entry["target"], entry["details"]["state"]) for entry in logged] == [
        ("binance", "finished"),
        ("binance", "started"),
    ] * 3
    assert (logged[0]["details"]["new"], logged[-1]["details"]["pairs"]) == (2880, ["btc/usdt"])


def test_unavailable_candles_are_retried_only_on_request(coinwatch: Command, exchange_server: ExchangeServer) -> None:
    exchange_server.market.record("binance", "BTC", "USDT", [])
    day = ["--exchange", "binance", "--instrument", "BTC/USDT", "--from", "2026-01-05", "--to", "2026-01-05"]
    assert "4 time ranges unavailable" in coinwatch("backfill", *day).stdout
    requests = len(exchange_server.requests("binance"))
    coinwatch("backfill", *day)
    assert len(exchange_server.requests("binance")) == requests
    coinwatch("backfill", *day, "--again")
    assert len(exchange_server.requests("binance")) == 2 * requests


def test_rejected_candles_are_counted_with_the_reason(coinwatch: Command, exchange_server: ExchangeServer) -> None:
    opened = [1767571200 + 60 * minute for minute in range(10)]  # 2026-01-05
    rows = [RecordedCandle(at, 1, 2, 0.5, 1e6 if at == opened[5] else 1, 3) for at in opened]
    exchange_server.market.record("binance", "BTC", "USDT", rows)
    day = ["--exchange", "binance", "--instrument", "BTC/USDT", "--from", "2026-01-05", "--to", "2026-01-05"]
    shown = coinwatch("backfill", *day)
    assert "9 new candles" in shown.stdout
    assert "1 row rejected: is invalid, the prices contradict each other" in shown.stdout
    again = json.loads(coinwatch("backfill", *day, "--again", "--json").stdout)
    assert again["rejected"] == {"is invalid, the prices contradict each other": 1}


def test_failure_exits_with_1_after_storing_the_rest(coinwatch: Command, exchange_server: ExchangeServer) -> None:
    exchange_server.market.delist("binance", "ETH", "USDT")
    done = coinwatch("backfill", "--exchange", "binance", "--from", "2026-01-05", "--to", "2026-01-05")
    assert done.returncode == 1
    assert "1,440 new candles" in done.stdout
    assert done.stderr.endswith("  ETH/USDT: unknown symbol ETHUSDT\n")
    exchange_server.fail("binance", "status", status=418, headers={"Retry-After": "3600"})
    banned = coinwatch("backfill", "--exchange", "binance", "--from", "2026-01-07", "--to", "2026-01-07")
    assert banned.returncode == 1
    assert "rate limited until" in banned.stderr
    assert "run the same command then" in banned.stderr


def test_disabled_exchange_is_an_error_and_not_an_empty_result(coinwatch: Command) -> None:
    coinwatch("exchanges", "disable", "binance")
    done = coinwatch("backfill", "--exchange", "binance", "--from", "2026-01-05", "--to", "2026-01-05")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run: coinwatch exchanges enable binance" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--exchange", "index"], 1, "The index is computed from the prices of the exchanges"),
        (["--exchange", "bitmex"], 1, "Unknown exchange 'bitmex'. Available: binance, coinbase, coingecko, index."),
        (
            ["--exchange", "coinbase", "--instrument", "ETH/USD"],
            1,
            "ETH/USD is not tracked on coinbase. Tracked: BTC/USD.",
        ),
        (["--exchange", "coingecko"], 1, "coingecko: does not offer candles of 1 minute, 1 hour or 1 day"),
        (["--exchange", "coinbase", "--to", "yesterday"], 2, "--to 'yesterday' is not a time such as"),
        (["--exchange", "coinbase", "--to", "2020-01-01"], 2, "must be before the end"),
    ],
)
def test_invalid_arguments_print_one_message(coinwatch: Command, arguments: list[str], code: int, message: str) -> None:
    done = coinwatch("backfill", "--from", "2026-01-05", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_interrupted_command_can_be_resumed(
    coinwatch: Command, environment: dict[str, str], exchange_server: ExchangeServer
) -> None:
    arguments = ["backfill", "--exchange", "coinbase", "--from", "2026-01-01", "--to", "2026-01-08"]
    process = subprocess.Popen(
        command(*arguments),
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and hands that down to its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it only sets a signal
    )
    deadline = time.monotonic() + 60
    while len(exchange_server.requests("coinbase")) < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert stderr.startswith("Interrupted.")
    requests = len(exchange_server.requests("coinbase"))
    assert requests < 39
    rest = coinwatch(*arguments)
    assert rest.returncode == 0, rest.stderr
    assert 0 < len(exchange_server.requests("coinbase")) - requests <= 39 - requests + 4, (
        "except those being fetched at the interruption"
    )
    assert " 0 requests" in coinwatch(*arguments).stdout
    logged = json.loads(coinwatch("audit", "--action", "candles.backfill", "--json").stdout)
    assert [entry["details"]["state"] for entry in logged[-2:]] == ["interrupted", "started"]


def test_terminal_shows_a_progress_bar(coinwatch: Command, environment: dict[str, str]) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        command("backfill", "--exchange", "binance", "--from", "2026-01-05", "--to", "2026-01-12"),
        env=os.environ | environment | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=other,
    )
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait(60) == 0
    assert process.stdout
    assert b"23,040 new candles" in process.stdout.read()
    process.stdout.close()
    assert b"BTC/USDT 1m 2026-01-" in shown
    assert b"100%" in shown
