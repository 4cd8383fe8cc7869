"""Candles of an exchange are validated like those of a file, and a backfill reports what it rejected or repaired."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.prices.candle_validation import LEVEL_CHANGE, SPIKE, WRONG_VOLUME
from coinwatch.prices.candles.storage import StoreResult
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle
from tests.support.backfill import HOUR, MINUTE, NOW, Backfill, candles, generate_minutes, instrument_id, record

START = NOW.replace(second=0) - 8 * HOUR


def scaled(candle: RecordedCandle, factor: float) -> RecordedCandle:
    prices = {name: getattr(candle, name) * factor for name in ("open", "high", "low", "close")}
    return replace(candle, **prices)


@pytest.mark.parametrize("code", ["binance", "coinbase", "kraken"])
def test_backfill_rejects_and_repairs_candles_and_counts_them(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill, code: str
) -> None:
    rows = generate_minutes(START, 120)
    rows[10] = scaled(rows[10], 1e6)
    rows[20] = replace(rows[20], high=rows[20].low / 2)
    rows[30] = replace(rows[30], volume=-5.0)
    record(exchange_server, code, rows)
    result = backfill(code, START, START + 2 * HOUR, instruments=[instrument_id(catalog, code)])
    assert result.stored == StoreResult(118)
    assert result.rejected == {SPIKE: 1, "is invalid, the prices contradict each other": 1}
    assert result.repaired == {WRONG_VOLUME: 1}
    stored = {candle.opened_at: candle for candle in candles(catalog, "1m", code)}
    assert not {START + 10 * MINUTE, START + 20 * MINUTE} & stored.keys()
    assert stored[START + 30 * MINUTE].volume is None
    assert result.as_dict()["rejected"] == result.rejected, "plain values for Airflow"


def test_new_unit_of_a_currency_is_kept_and_reported(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    rows = generate_minutes(START, 120)
    record(exchange_server, "binance", rows[:60] + [scaled(candle, 1000) for candle in rows[60:]])
    result = backfill("binance", START, START + 2 * HOUR, instruments=[instrument_id(catalog, "binance")])
    assert (result.stored, result.rejected) == (StoreResult(120), {})
    assert result.unusual == {LEVEL_CHANGE: 1}


def test_unconfirmed_jump_in_the_newest_candle_is_requested_again(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    now = NOW.replace(second=0)
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    rows = generate_minutes(now - HOUR, 60)
    record(exchange_server, "binance", [*rows[:-1], scaled(rows[-1], 1000)])
    assert backfill("binance", now - HOUR, now, **only_btc).rejected == {SPIKE: 1}
    record(exchange_server, "binance", rows)
    assert backfill("binance", now - HOUR, now + timedelta(minutes=1), **only_btc).stored == StoreResult(1)
