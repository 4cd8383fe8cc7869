"""Stored candles equal those that pandas computes from the same irregular quotes and minutes with gaps."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from tests.support.quotes import START, load, quote

FREQUENCIES = {"1m": "1min", "1h": "1h", "1d": "1D"}
PRICES = ["open", "high", "low", "close"]


def stored(engine: sa.Engine, resolution: str) -> pd.DataFrame:
    query = sa.text(
        "SELECT opened_at, open, high, low, close, volume, trades, samples FROM candles"
        " JOIN watched_instruments USING (instrument_id) WHERE exchange <> 'index'"
        " AND resolution = CAST(:resolution AS candle_resolution) ORDER BY opened_at"
    )
    with transaction(engine) as connection:
        rows = connection.execute(query, {"resolution": resolution}).all()
    return pd.DataFrame(rows).set_index("opened_at")


def walk(random: np.random.Generator, length: int) -> np.ndarray:
    return np.round(40_000 * np.exp(np.cumsum(random.normal(0, 0.001, length))), 2)


@pytest.mark.parametrize("seed", [1, 2])
def test_candles_of_irregular_quotes_match_pandas(catalog: sa.Engine, seed: int) -> None:
    random = np.random.default_rng(seed)
    offsets = np.unique(random.integers(0, 3 * 86_400_000, 4_000))  # milliseconds, over three days
    offsets = offsets[(offsets < 90_000_000) | (offsets > 120_000_000)]  # with a gap of eight hours
    prices = walk(random, len(offsets))
    moments = [START + timedelta(milliseconds=int(offset)) for offset in offsets]
    quotes = [quote(float(price), offset / 60_000) for offset, price in zip(offsets, prices, strict=True)]
    for part in random.permutation(7):  # out of order
        load(catalog, *quotes[part::7], now=START + timedelta(days=4))
        refresh_candles(catalog)
    frame = pd.Series(prices, index=pd.DatetimeIndex(moments))
    for resolution, frequency in FREQUENCIES.items():
        grouped = frame.resample(frequency)
        expected = grouped.ohlc().dropna().assign(samples=grouped.count())
        found = stored(catalog, resolution)
        assert list(found.index) == list(expected.index)
        assert (found[PRICES].to_numpy() == expected[PRICES].to_numpy()).all()
        assert (found["samples"].to_numpy() == expected["samples"].to_numpy()).all()
        assert found["volume"].isna().all(), "a rolling 24 h volume is not the volume of an interval"


def test_rollups_of_exchange_minutes_match_pandas(catalog: sa.Engine) -> None:
    random = np.random.default_rng(3)
    numbers = np.flatnonzero(random.random(4 * 1440) > 0.05)
    numbers = numbers[(numbers < 1000) | (numbers > 3000)]  # a gap of more than a day
    opens, closes = walk(random, len(numbers)), walk(random, len(numbers))
    frame = pd.DataFrame(
        {
            "open": opens,
            "high": np.maximum(opens, closes) + 1,
            "low": np.minimum(opens, closes) - 1,
            "close": closes,
            "volume": random.random(len(numbers)) * 10,
            "trades": random.integers(1, 500, len(numbers)),
        },
        index=pd.DatetimeIndex([START + timedelta(minutes=int(number)) for number in numbers]),
    )
    rows = [StoredCandle(1, Candle(moment.to_pydatetime(), *values)) for moment, *values in frame.itertuples()]
    for part in random.permutation(5):
        store_candles(catalog, "1m", rows[part::5])
        refresh_candles(catalog)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "trades": "sum"}
    for resolution in ("1h", "1d"):
        expected = frame.resample(FREQUENCIES[resolution]).agg(how).dropna()
        found = stored(catalog, resolution)
        assert list(found.index) == list(expected.index)
        assert (found[[*PRICES, "trades"]].to_numpy() == expected[[*PRICES, "trades"]].to_numpy()).all()
        np.testing.assert_allclose(found["volume"].to_numpy(), expected["volume"].to_numpy(), rtol=1e-12)
