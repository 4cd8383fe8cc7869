"""``coinwatch backtest``: table, JSON, CSV, error messages."""

import csv
import io
import json
from functools import partial

import pytest
import sqlalchemy as sa

from tests.support.command_line import Command
from tests.support.quotes import load, quote

SINCE_LAST = ("--kind", "change_since_last", "--cooldown", "0")
RANGE = ("--exchange", "kraken", "--from", "2026-02-20", "--to", "2026-03-15T00:00")


@pytest.fixture
def backtest(coinwatch: Command, catalog: sa.Engine) -> Command:
    """Six days of hourly prices; every sixth is 10% higher: 22 rises and 22 falls."""
    load(catalog, *(quote(110 if hour % 6 == 5 else 100, 60 * hour) for hour in range(24 * 6 - 8)))
    return partial(coinwatch, "backtest")


def test_prints_table_bars_and_weekly_rate(backtest: Command) -> None:
    shown = backtest("BTC", "10", "--direction", "up", *SINCE_LAST, *RANGE, "--limit", "2").stdout.splitlines()
    assert [line.split() for line in shown[1:3]] == [
        ["2026-03-06", "17:00:00", "UTC", "110.00", "100.00", "2026-03-06", "16:00:00", "UTC", "+10.00%"],
        ["2026-03-06", "23:00:00", "UTC", "110.00", "100.00", "2026-03-06", "22:00:00", "UTC", "+10.00%"],
    ]
    assert shown[3].startswith("Showing the newest 2 of 22.")
    assert shown[4] == "2026-03-01 |█████▅        | 2026-03-15: one bar per day, up to 4"
    assert shown[5].endswith(
        "22 alerts from 136 quotes. Since 2026-03-01 12:00 UTC (13 d), this alert would have fired 22 times, "
        "about 11 a week."
    )


def test_json_and_csv_contain_all_alerts(backtest: Command) -> None:
    found = json.loads(backtest("BTC", "5", *SINCE_LAST, *RANGE, "--json").stdout)
    assert (found["alerts"], len(found["newest"]), found["values"]) == (44, 44, 136)
    rows = list(csv.DictReader(io.StringIO(backtest("BTC", "5", *SINCE_LAST, *RANGE, "--csv").stdout)))
    assert [(row["observed_at"].replace("+00:00", "Z"), float(row["price"])) for row in rows] == [
        (alert["observed_at"], alert["price"]) for alert in found["newest"][::-1]
    ]
    assert {row["change_percent"] for row in rows} == {"10.0", "-9.0909091"}, "rounded"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2026-03-02", "--to", "2026-03-01"), "is not before --to 2026-03-01"),
        (("--from", "2006-03-02", "--to", "2026-03-01"), "1830 days"),
        (("--from", "2025-03-02", "--to", "2025-03-03"), "No data for BTC/USD at kraken from 2025-03-02"),
    ],
)
def test_range_without_data_prints_a_message(backtest: Command, arguments: tuple[str, ...], message: str) -> None:
    done = backtest("BTC", "5", "--exchange", "kraken", *arguments)
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
