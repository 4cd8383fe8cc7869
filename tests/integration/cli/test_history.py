"""``coinwatch`` candles, price, compare, changes and movers."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.refresh import refresh_candles
from tests.support.command_line import Command
from tests.support.quotes import START, at, load, quote


def lines(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_prints_candles_and_price_at_a_time(coinwatch: Command, catalog: sa.Engine) -> None:
    load(catalog, quote(40000.5, 0), quote(41000, 10), quote(39000, 70), quote(40500, 130))
    refresh_candles(catalog)
    times = ("--from", "2026-03-01T13:00", "--to", "2026-03-01", "--timezone", "Europe/Berlin")
    arguments = ("candles", "bitcoin", "--exchange", "kraken", *times)
    heading, _, *rows = lines(coinwatch(*arguments))
    assert heading[:4] == ["BTC/USD", "at", "kraken:", "1h"]
    assert rows == [
        ["2026-03-01", "13:00", "CET", "40,000.50", "41,000.00", "40,000.50", "41,000.00", "-", "quotes"],
        ["2026-03-01", "14:00", "CET", "39,000.00", "39,000.00", "39,000.00", "39,000.00", "-", "quotes"],
        ["2026-03-01", "15:00", "CET", "40,500.00", "40,500.00", "40,500.00", "40,500.00", "-", "quotes"],
    ]
    day = json.loads(coinwatch(*arguments, "--resolution", "1d", "--from", "2026-03-01", "--json").stdout)
    assert (day["made_of"], day["timezone"]) == ("1h", "Europe/Berlin")
    assert [(candle["opened_at"], candle["high"], candle["complete"]) for candle in day["candles"]] == [
        ("2026-02-28T23:00:00Z", 41000, True)
    ]
    price = coinwatch("price", "BTC", "--exchange", "kraken", "--at", "2026-03-01T14:15", "--timezone", "Europe/Berlin")
    assert price.stdout == "BTC/USD at kraken: 39,000.00 USD, observed 2026-03-01 14:10:00 CET\n"


def test_prints_movers_changes_and_comparison(coinwatch: Command, catalog: sa.Engine) -> None:
    now = (datetime.now(UTC) - START) / timedelta(minutes=1)
    rising = [quote(price, now - ago, place) for place in ("kraken", "index") for price, ago in ((100, 1445), (110, 1))]
    falling = [quote(price, now - ago, "index", "ETH/USD") for price, ago in ((10, 1445), (9.5, 1))]
    load(catalog, *rising, *falling, quote(90, now - 2, "coinbase"), now=datetime.now(UTC))
    refresh_candles(catalog)
    table = lines(coinwatch("movers"))
    assert ["BTC", "+10.00%", "110.00", "100.00", "USD"] in table
    assert ["ETH", "-5.00%", "9.50", "10.00", "USD"] in table
    assert table[0] == ["2", "coins", "compared", "in", "the", "index", "over", "24h"]
    assert ["BTC", "110.00", "USD", "-", "+10.00%", "-", "-"] in lines(coinwatch("changes"))
    assert json.loads(coinwatch("movers", "--window", "24h", "--json").stdout)["gainers"][0]["price_before"] == 100
    compared = coinwatch("compare", "BTC")
    assert "UTC: median 100.00" in compared.stdout
    assert [row[:5] for row in lines(compared)[2:]] == [
        ["coinbase", "90.00", "USD", "-10.00%", "-"],
        ["kraken", "110.00", "USD", "+10.00%", "-"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("candles", "BTC", "--from", "2026-03-01", "--to", "2026-03-02"),
            1,
            "kraken has BTC/USD from 2026-03-01 to 2026-03-01.",
        ),
        (("candles", "ETH", "--last", "1h"), 1, "Fetch them with: coinwatch backfill"),
        (("candles", "BTC", "--timezone", "Berlin"), 2, "Did you mean Europe/Berlin?"),
        (("candles", "BTC", "--to", "0001-01-01"), 2, "--to "),
        (("candles", "BTC", "--last", "99999999999w"), 2, "the maximum is 36,500 days"),
        (("price", "BTC", "--at", "noon"), 2, "--at 'noon' is not a time such as"),
    ],
)
def test_missing_data_and_invalid_arguments_print_one_message(
    coinwatch: Command, catalog: sa.Engine, arguments: tuple[str, ...], code: int, message: str
) -> None:
    load(catalog, quote(40000, 0), now=at(5))
    refresh_candles(catalog)
    done = coinwatch(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
