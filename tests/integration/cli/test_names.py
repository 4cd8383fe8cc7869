"""Coins and exchanges that don't exist: one message with a suggestion, and exit code 1."""

import pytest
import sqlalchemy as sa

from tests.support.command_line import Command

pytestmark = pytest.mark.usefixtures("catalog")

DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")
SUBSCRIBE = ("subscribe", "ada@example.org")


@pytest.mark.parametrize(
    "command",
    [
        ("prices", "bitcoim"),
        ("history", "bitcoim"),
        ("candles", "bitcoim"),
        ("price", "bitcoim", "--at", "2026-03-01"),
        ("compare", "bitcoim"),
        ("gaps", "--coin", "bitcoim"),
        ("gaps", "retry", "--coin", "bitcoim"),
        (*SUBSCRIBE, "bitcoim", "5"),
        ("backtest", "bitcoim", "5"),
    ],
)
def test_unknown_coin_is_reported_with_a_suggestion(coinwatch: Command, command: tuple[str, ...]) -> None:
    done = coinwatch(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "'bitcoim' is not tracked on " in done.stderr
    assert "Did you mean BTC? Tracked: BTC, ETH." in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("prices", "--exchange", "krakn"),
        ("prices", "BTC", "--exchange", "krakn"),
        ("history", "BTC", "--exchange", "krakn"),
        ("candles", "BTC", "--exchange", "krakn"),
        ("price", "BTC", "--at", "2026-03-01", "--exchange", "krakn"),
        ("changes", "--exchange", "krakn"),
        ("movers", "--exchange", "krakn"),
        ("gaps", "--exchange", "krakn"),
        ("gaps", "retry", "--exchange", "krakn"),
        (*SUBSCRIBE, "BTC", "5", "--exchange", "krakn"),
        ("backtest", "BTC", "5", "--exchange", "krakn"),
        ("backfill", "--exchange", "krakn", *DAYS),
        ("export", "exported", "--exchange", "krakn", *DAYS),
        ("exchanges", "enable", "krakn"),
        ("exchanges", "disable", "krakn"),
    ],
)
def test_unknown_exchange_is_reported_with_a_suggestion(coinwatch: Command, command: tuple[str, ...]) -> None:
    done = coinwatch(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Unknown exchange 'krakn'. Did you mean kraken? Available: binance, coinbase" in done.stderr


def test_index_can_be_neither_enabled_nor_disabled(coinwatch: Command) -> None:
    for command in ("enable", "disable"):
        done = coinwatch("exchanges", command, "index")
        assert (done.returncode, "The index is computed" in done.stderr) == (1, True)


def test_names_that_exist_but_have_no_prices_are_not_errors(coinwatch: Command, catalog: sa.Engine) -> None:
    for command in (("prices", "Bitcoin"), ("prices", "--exchange", "KRAKEN"), ("movers", "--exchange", "kraken")):
        assert coinwatch(*command).returncode == 0, command
    assert "enabled" in coinwatch("exchanges", "enable", "KRAKEN").stdout
