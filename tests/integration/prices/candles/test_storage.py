"""Storing and refreshing candles: exchange candles take precedence, order is irrelevant, only changes refresh."""

from collections.abc import Callable
from datetime import datetime
from random import Random

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import RefreshResult, count_stale_ranges, refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.catalog import find_instrument, sync_catalog
from tests.support.backfill import all_candles
from tests.support.quotes import at, load, quote
from tests.support.settings import COINS, exchange, make_settings


def stored(engine: sa.Engine, resolution: str) -> list[tuple[object, ...]]:
    """Exchanges' candles: minutes since the tests' start, open, high, low, close, volume, trades, samples, source."""
    query = sa.text(
        "SELECT extract(epoch FROM opened_at - :start)::float8 / 60, open, high, low, close, volume, trades, samples,"
        " source::text"
        " FROM candles JOIN watched_instruments USING (instrument_id)"
        " WHERE exchange <> 'index' AND resolution = CAST(:resolution AS candle_resolution)"
        " ORDER BY instrument_id, opened_at"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(query, {"start": at(0), "resolution": resolution})]


def minute(instrument: int, minutes: float, price: float, volume: float = 1.0, trades: int = 2) -> StoredCandle:
    return StoredCandle(instrument, Candle(at(minutes), price, price + 2, price - 2, price + 1, volume, trades))


def test_quotes_are_aggregated_to_minutes_hours_and_days(catalog: sa.Engine) -> None:
    load(catalog, quote(10, 0.2), quote(12, 0.5), quote(9, 0.7), quote(11, 0.9), quote(20, 61), now=at(100))
    result = refresh_candles(catalog)
    assert result == RefreshResult(1, {"1m": 2, "1h": 2, "1d": 1}, 0)
    assert stored(catalog, "1m") == [
        (0, 10, 12, 9, 11, None, None, 4, "quotes"),
        (61, 20, 20, 20, 20, None, None, 1, "quotes"),
    ]
    assert stored(catalog, "1h") == [
        (0, 10, 12, 9, 11, None, None, 4, "quotes"),
        (60, 20, 20, 20, 20, None, None, 1, "quotes"),
    ]
    assert stored(catalog, "1d") == [(-720, 10, 20, 9, 20, None, None, 5, "quotes")]


def test_unchanged_ranges_are_not_refreshed(catalog: sa.Engine) -> None:
    load(catalog, quote(10, 0), quote(12, 60), now=at(100))
    refresh_candles(catalog)
    assert refresh_candles(catalog) == RefreshResult(0, {"1m": 0, "1h": 0, "1d": 0}, 0)
    load(catalog, quote(10, 0), now=at(100))
    assert count_stale_ranges(catalog) == 0, "a repeated quote changes nothing"
    load(catalog, quote(10, 1), now=at(100))
    assert refresh_candles(catalog).written == {"1m": 1, "1h": 1, "1d": 1}


def test_late_quote_updates_only_its_own_candles(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100 + hour, 60 * hour) for hour in range(5)), now=at(400))
    refresh_candles(catalog)
    load(catalog, quote(500, 60.5), now=at(400))
    assert refresh_candles(catalog).written == {"1m": 1, "1h": 1, "1d": 1}
    assert stored(catalog, "1h")[1][:5] == (60, 101, 500, 101, 500)
    assert stored(catalog, "1d")[0][1:5] == (100, 500, 100, 104)


def test_exchange_candle_overrides_our_quotes_in_any_order(catalog: sa.Engine, btc: int) -> None:
    tables = []
    for order in ("quotes first", "exchange first"):
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "prices"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        steps: list[Callable[[], object]] = [
            lambda: load(catalog, quote(10, 0), quote(30, 1), now=at(5)),
            lambda: store_candles(catalog, "1m", [minute(btc, 0, 20)]),
        ]
        for step in steps if order == "quotes first" else reversed(steps):
            step()
            refresh_candles(catalog)
        tables.append(all_candles(catalog))
    assert tables[0] == tables[1]
    assert stored(catalog, "1m") == [
        (0, 20, 22, 18, 21, 1.0, 2, None, "exchange"),
        (1, 30, 30, 30, 30, None, None, 1, "quotes"),
    ]
    assert stored(catalog, "1h") == [(0, 20, 30, 18, 30, None, None, 1, "quotes")], (
        "the volume of one minute is not the volume of the hour"
    )


def test_corrected_candle_replaces_the_old_one_and_is_counted(catalog: sa.Engine, btc: int) -> None:
    first = [minute(btc, number, 20 + number) for number in range(3)]
    assert store_candles(catalog, "1m", first) == StoreResult(3, 0, 0)
    assert store_candles(catalog, "1m", first) == StoreResult(0, 0, 3)
    assert count_stale_ranges(catalog) == 1, "storing the same candles again marks nothing as stale"
    assert store_candles(catalog, "1m", [first[0], minute(btc, 1, 50), minute(btc, 3, 9)]) == StoreResult(1, 1, 1)
    refresh_candles(catalog)
    assert stored(catalog, "1h") == [(0, 20, 52, 7, 10, 4.0, 8, None, "rollup")]


def test_exchange_hour_overrides_a_rollup(catalog: sa.Engine, btc: int) -> None:
    own = StoredCandle(btc, Candle(at(0), 1, 9, 1, 5, 77.0, 100))
    store_candles(catalog, "1m", [minute(btc, 0, 20)])
    refresh_candles(catalog)
    store_candles(catalog, "1h", [own])
    store_candles(catalog, "1m", [minute(btc, 1, 30)])
    refresh_candles(catalog)
    assert stored(catalog, "1h") == [(0, 1, 9, 1, 5, 77.0, 100, None, "exchange")]
    assert stored(catalog, "1d") == [(-720, 1, 9, 1, 5, 77.0, 100, None, "rollup")]


def test_imported_candle_from_quotes_does_not_replace_an_exchange_candle(catalog: sa.Engine, btc: int) -> None:
    store_candles(catalog, "1m", [minute(btc, 0, 20)])
    from_quotes = StoredCandle(btc, Candle(at(0), 1, 1, 1, 1), samples=1, source="quotes")
    assert store_candles(catalog, "1m", [from_quotes]) == StoreResult(0, 0, 1)
    assert stored(catalog, "1m")[0][1] == 20


def test_last_of_two_candles_for_one_minute_wins(catalog: sa.Engine, btc: int) -> None:
    assert store_candles(catalog, "1m", [minute(btc, 0, 20), minute(btc, 0, 40)]) == StoreResult(1, 0, 1)
    assert stored(catalog, "1m")[0][1] == 40


def test_table_rejects_candles_off_the_grid(catalog: sa.Engine, btc: int) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="candles_1m_opened_at_check"):
        store_candles(catalog, "1m", [minute(btc, 0.5, 20)])


def test_stale_ranges_are_refreshed_newest_first_within_the_time_limit(
    catalog: sa.Engine, btc: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.prices.candles.refresh.BATCH_RANGES", 2)
    for number in range(5):
        load(catalog, quote(10 + number, number), now=at(100))
    assert refresh_candles(catalog, max_seconds=0).remaining == 3
    assert [row[0] for row in stored(catalog, "1m")] == [3, 4]
    assert refresh_candles(catalog).ranges == 3
    assert [row[0] for row in stored(catalog, "1m")] == [0, 1, 2, 3, 4]


def test_daily_ohlcv_view_is_up_to_date(catalog: sa.Engine, btc: int) -> None:
    store_candles(catalog, "1m", [minute(btc, 0, 20, volume=3.0)])
    load(catalog, quote(50, 0, exchange="index"), quote(51, 1, exchange="index"), now=at(5))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        rows = connection.execute(sa.text("SELECT * FROM daily_ohlcv")).mappings().all()
    assert [dict(row) for row in rows] == [
        {"symbol": "BTC", "day": at(0).date(), "open": 50, "high": 51, "low": 50, "close": 51, "volume": 3.0}
    ]


def test_daily_ohlcv_view_falls_back_to_the_exchange_with_the_largest_volume(catalog: sa.Engine, btc: int) -> None:
    store_candles(
        catalog,
        "1d",
        [StoredCandle(btc, Candle(at(-720), 1, 9, 1, 5, 77.0)), StoredCandle(btc + 1, Candle(at(-720), 1, 9, 1, 5))],
    )
    with transaction(catalog) as connection:
        rows = connection.execute(sa.text("SELECT symbol, close, volume FROM daily_ohlcv ORDER BY symbol")).all()
    assert ("BTC", 5.0, 77.0) in [tuple(row) for row in rows]


def test_daily_volume_excludes_aggregators_and_simulated_exchanges(engine: sa.Engine) -> None:
    codes = {"kraken": {}, "coingecko": {}, "coinnews": {"simulated": True}}
    exchanges = {code: exchange(code, "BTC/USD", base_url="http://127.0.0.1:1", **more) for code, more in codes.items()}
    sync_catalog(engine, make_settings(coins=COINS, exchanges=exchanges))
    with transaction(engine) as connection:
        ids = {code: find_instrument(connection, "BTC", code).instrument_id for code in codes}
    volumes = {"kraken": 11_000.0, "coingecko": 400_000.0, "coinnews": 70.0}
    for code, volume in volumes.items():
        days = [-720, -2160] if code == "coinnews" else [-720]
        rows = [StoredCandle(ids[code], Candle(at(minute), 1, 1, 1, 1, volume)) for minute in days]
        store_candles(engine, "1d", rows)
    with transaction(engine) as connection:
        rows = connection.execute(sa.text("SELECT volume FROM daily_ohlcv ORDER BY day")).scalars()
        assert list(rows) == [70.0, 11_000.0], "simulated volume counts only on a day without another"


def test_quotes_that_arrive_late_do_not_replace_the_latest_price(catalog: sa.Engine) -> None:
    def latest() -> tuple[datetime, float]:
        with transaction(catalog) as connection:
            row = connection.execute(sa.text("SELECT observed_at, price FROM latest_prices")).one()
        return row.observed_at, row.price

    load(catalog, quote(10, 5), quote(9, 4), now=at(10))
    assert latest() == (at(5), 10)
    load(catalog, quote(8, 3), now=at(10))
    assert latest() == (at(5), 10)
    load(catalog, quote(7, 5), now=at(10))
    assert latest() == (at(5), 10), "a conflicting quote changes nothing"
    load(catalog, quote(12, 6), now=at(10))
    assert latest() == (at(6), 12)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["quote", "1m", "1h"]),
        st.integers(0, 200),
        st.integers(1, 20),
    ),
    min_size=1,
    max_size=15,
    unique_by=lambda event: event[:2],
)


@hypothesis_settings(max_examples=25)
@given(EVENTS, st.randoms(use_true_random=False))
def test_order_of_quotes_and_candles_does_not_matter(
    catalog: sa.Engine, btc: int, events: list[tuple[str, int, int]], random: Random
) -> None:
    tables = []
    for _ in range(2):
        random.shuffle(events)
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "prices"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        for kind, minutes, price in events:
            if kind == "quote":
                load(catalog, quote(price, minutes), now=at(300))
            elif kind == "1m":
                store_candles(catalog, "1m", [minute(btc, minutes, price + 5)])
            else:
                store_candles(catalog, "1h", [minute(btc, minutes // 60 * 60, 5 + minutes // 60)])
            if random.random() < 0.5:
                refresh_candles(catalog)
        refresh_candles(catalog)
        tables.append(all_candles(catalog))
    assert tables[0] == tables[1]
