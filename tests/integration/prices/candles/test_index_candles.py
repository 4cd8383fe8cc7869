"""The index's candles are computed from the exchanges' own, never over what was computed live."""

from collections.abc import Sequence
from datetime import datetime
from math import inf, nextafter
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.backfill.planning import InstrumentRange, record_response
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution, parse_resolution
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import INDEX, find_instrument, set_exchange_enabled
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, floor_to
from tests.support.backfill import all_candles, candles, instrument_id
from tests.support.quotes import at, load, quote

MIDNIGHT = -3 * 1440 - 720.0  # minutes before START


def store(
    engine: sa.Engine, code: str, closes: Sequence[float | None], start: float = 0, resolution: Resolution = "1m"
) -> None:
    """Store an exchange's candles of BTC/USD, one per close; None leaves one out."""
    rows = [
        StoredCandle(
            instrument_id(engine, code),
            Candle(at(start) + number * WIDTHS[resolution], close, close + 2, close - 2, close, 1.5),
        )
        for number, close in enumerate(closes)
        if close is not None
    ]
    store_candles(engine, resolution, rows)
    refresh_candles(engine)


def index_id(engine: sa.Engine) -> int:
    with transaction(engine) as connection:
        return find_instrument(connection, "BTC", INDEX).instrument_id


def index_candles(engine: sa.Engine, resolution: str = "1m") -> list[Any]:
    return [(row.open, row.high, row.low, row.close, row.volume) for row in candles(engine, resolution, "index")]


def test_index_candle_is_the_median_of_the_exchanges_and_the_sum_of_their_volumes(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100, 103])
    assert index_candles(catalog) == [(100, 102, 98, 100, 1.5), (103, 105, 101, 103, 1.5)]
    store(catalog, "coinbase", [104, 103])
    assert index_candles(catalog) == [(102, 104, 100, 102, 3), (103, 105, 101, 103, 3)]
    [hour] = index_candles(catalog, "1h")
    assert hour == (102, 105, 100, 103, 6)
    assert [row.source for row in candles(catalog, "1d", "index")] == ["rollup"]


def test_simulated_candles_count_only_without_a_real_exchange(catalog: sa.Engine) -> None:
    store(catalog, "coinnews", [5, 6])
    assert index_candles(catalog) == [], "Kraken is enabled for BTC"
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    store(catalog, "coinnews", [7], 5)
    assert [row[3] for row in index_candles(catalog)] == [7]


def test_simulated_history_is_deleted_when_a_real_exchange_is_enabled(catalog: sa.Engine, settings: Settings) -> None:
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    store(catalog, "coinnews", [5, 6], -2)
    load(catalog, quote(5.0, 0, "coinnews"))
    compute_index(catalog, settings, at(0.5))
    refresh_candles(catalog)
    assert len(index_candles(catalog)) == 3
    set_exchange_enabled(catalog, "kraken", True)
    store(catalog, "kraken", [100, 102], -1)
    page = InstrumentRange(instrument_id(catalog, "kraken"), TimeRange(at(-1), at(1)))
    fetched = [Candle(at(minute), price, price, price, price) for minute, price in ((-1, 100), (0, 102))]
    record_response(catalog, "1m", page, fetched, None, at(600))
    load(catalog, quote(110.0, 3))
    assert compute_index(catalog, settings, at(3)) == 1
    refresh_candles(catalog)
    assert [row[3] for row in index_candles(catalog)] == [100, 102, 110]
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", start=at(-10), end=at(10))
    assert [round(alert.change_percent, 1) for alert in past.alerts] == [7.8], "real prices are compared"


def test_index_that_starts_anew_keeps_the_history_that_was_imported(catalog: sa.Engine, settings: Settings) -> None:
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    load(catalog, quote(5.0, 0, "coinnews"))
    compute_index(catalog, settings, at(0.5))
    set_exchange_enabled(catalog, "kraken", True)
    store(catalog, "kraken", [100, 102], -1)
    store(catalog, "kraken", [90], MIDNIGHT, "1d")
    load(catalog, quote(110.0, 3))
    compute_index(catalog, settings, at(3))
    refresh_candles(catalog)
    assert [row[3] for row in index_candles(catalog)] == [100, 102, 110]
    assert [row[3] for row in index_candles(catalog, "1d")] == [90, 110]


def test_simulated_history_is_not_computed_before_the_index_is_simulated(
    catalog: sa.Engine, settings: Settings
) -> None:
    load(catalog, quote(100.0, 0))
    compute_index(catalog, settings, at(0.5))
    store(catalog, "kraken", [100, 101, 102])
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    store(catalog, "coinnews", [5] * 3)
    assert [row[3] for row in index_candles(catalog)] == [100, 101, 102]


def test_real_history_is_kept_when_all_real_exchanges_are_disabled(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0))
    compute_index(catalog, settings, at(0.5))
    refresh_candles(catalog)
    store(catalog, "kraken", [100, 100, 100])
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    load(catalog, quote(5.0, 3, "coinnews"))
    compute_index(catalog, settings, at(3.5))
    refresh_candles(catalog)
    store(catalog, "coinnews", [6] * 6)
    assert [row[3] for row in index_candles(catalog)] == [100, 100, 100, 5, 6, 6]


def test_live_index_prices_are_kept_and_get_the_volume(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0))
    assert compute_index(catalog, settings, at(0.5)) == 1
    refresh_candles(catalog)
    store(catalog, "kraken", [107, 108])
    assert index_candles(catalog) == [(100, 100, 100, 100, 1.5), (108, 110, 106, 108, 1.5)]
    load(catalog, quote(50.0, 1, "coinbase"), quote(50.0, 1))
    compute_index(catalog, settings, at(1.5))
    refresh_candles(catalog)
    assert index_candles(catalog)[1][:4] == (50, 50, 50, 50), "live values take precedence"
    store(catalog, "coinbase", [100_000])
    assert index_candles(catalog)[0] == (100, 100, 100, 100, None), "which of the volumes is right is unknown"


def test_candle_of_the_index_from_a_file_is_kept(catalog: sa.Engine) -> None:
    store_candles(catalog, "1m", [StoredCandle(index_id(catalog), Candle(at(0), 90, 90, 90, 90))])
    store(catalog, "kraken", [100, 101])
    assert [row[3] for row in index_candles(catalog)] == [90, 101]


def test_outdated_candle_of_the_index_is_computed_again(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100])
    before = [candles(catalog, resolution, "index") for resolution in STORED_RESOLUTIONS]
    for resolution in STORED_RESOLUTIONS:
        opened_at = candles(catalog, resolution, "index")[0].opened_at
        outdated = StoredCandle(index_id(catalog), Candle(opened_at, 90, 90, 90, 90), source="rollup")
        store_candles(catalog, resolution, [outdated])
        refresh_candles(catalog)
        assert [candles(catalog, resolution, "index") for resolution in STORED_RESOLUTIONS] == before


def test_exchange_without_trades_counts_with_its_last_price_for_ten_minutes(catalog: sa.Engine) -> None:
    store(catalog, "coinbase", [110])
    store(catalog, "kraken", [100] * 12)
    closes = [row[3] for row in index_candles(catalog)]
    assert closes == [105] * 10 + [100] * 2
    assert {row[4] for row in index_candles(catalog)[1:]} == {1.5}
    store(catalog, "coinbase", [120], 5)
    assert [row[3] for row in index_candles(catalog)] == [105] * 5 + [110] * 7, "later minutes follow"


def test_minute_without_any_trade_has_no_index_candle(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100, None, None, 101])
    opened = [row.opened_at for row in candles(catalog, "1m", "index")]
    assert opened == [at(0), at(3)]


def test_hundredfold_price_gives_no_candle_unless_two_others_agree(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100, None, 100])
    store(catalog, "coinbase", [100_000], 1)
    store(catalog, "coinbase", [100_000], 2)
    assert [row[3] for row in index_candles(catalog)] == [100], (
        "the candles computed before the other is known are deleted"
    )
    assert [row[3] for row in index_candles(catalog, "1h")] == [100]
    store(catalog, "coinbase", [100_000])
    for resolution in ("1m", "1h", "1d"):
        assert index_candles(catalog, resolution) == []
    store(catalog, "coinbase", [104])
    assert [row[3] for row in index_candles(catalog)] == [102], "a corrected price counts"


def test_hour_without_plausible_minutes_is_computed_from_hours(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [90], 0, "1h")
    store(catalog, "kraken", [100])
    assert [row[3] for row in index_candles(catalog, "1h")] == [100]
    store(catalog, "coinbase", [95], 0, "1h")
    store(catalog, "coinbase", [100_000])
    assert [row[3] for row in index_candles(catalog, "1h")] == [92.5]
    assert [row[3] for row in index_candles(catalog, "1d")] == [92.5]


def test_quotes_of_other_exchanges_count_whenever_they_arrive(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100, 100])
    load(catalog, quote(104.0, 0, "coinbase"))
    refresh_candles(catalog)
    assert [row[3] for row in index_candles(catalog)] == [102, 102]
    assert {row[4] for row in index_candles(catalog)} == {None}, "Coinbase's volume is unknown"
    store(catalog, "coinbase", [106])
    assert [row[3:] for row in index_candles(catalog)] == [(103, 3), (103, 1.5)]


def test_quotes_alone_give_no_index_candle(catalog: sa.Engine) -> None:
    load(catalog, quote(104.0, 0, "coinbase"), quote(100.0, 0))
    refresh_candles(catalog)
    assert candles(catalog, "1m", "index") == []


def test_prices_far_apart_give_a_valid_candle_in_spite_of_rounding(catalog: sa.Engine) -> None:
    lowest, highest = 557.4587244862441, 11814.735103888206
    for code, low in (("kraken", lowest), ("coinbase", highest)):
        opening = nextafter(nextafter(low, inf), inf) if code == "kraken" else low
        candle = Candle(at(0), opening, max(opening, low), low, low)
        store_candles(catalog, "1m", [StoredCandle(instrument_id(catalog, code), candle)])
    refresh_candles(catalog)
    [(opening, high, low, _, _)] = index_candles(catalog)
    assert low <= opening <= high


@pytest.mark.parametrize("resolution", ["1h", "1d"])
def test_hours_and_days_are_computed_where_there_are_no_finer_candles(
    catalog: sa.Engine, resolution: Resolution
) -> None:
    store(catalog, "kraken", [100, 200], MIDNIGHT, resolution)
    store(catalog, "coinbase", [104, 204], MIDNIGHT, resolution)
    assert [row[3] for row in index_candles(catalog, resolution)] == [102, 202]
    store(catalog, "kraken", [300], MIDNIGHT)
    assert [row[3] for row in index_candles(catalog, resolution)] == [300, 202], "minutes take precedence"
    store(catalog, "coinbase", [106, 206], MIDNIGHT, resolution)
    assert [row[3] for row in index_candles(catalog, resolution)] == [300, 203]


def test_result_does_not_depend_on_the_order_or_batches(catalog: sa.Engine) -> None:
    parts = [("kraken", [100, 101, 102, None, 104] * 3, 0), ("coinbase", [103, None, None, 101] * 4, 0)]
    for code, closes, start in parts:
        store(catalog, code, closes, start)
    first = index_candles(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("DELETE FROM candles"))
    for code, closes, start in reversed(parts):
        for number in reversed(range(len(closes))):
            store(catalog, code, closes[number : number + 1], start + number)
    assert index_candles(catalog) == first
    refresh_candles(catalog)
    assert index_candles(catalog) == first


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["kraken", "coinbase", "index"]),
        st.sampled_from(["quote", "1m", "1h", "1d"]),
        st.integers(0, 15) | st.integers(50, 70) | st.just(1500),
        st.sampled_from([1.0, 1.5, 1.7, 3.1, 1700.0]),
    ),
    min_size=2,
    max_size=15,
    unique_by=lambda event: event[:3],
).map(lambda events: [event for event in events if event[0] != "index" or event[1] == "quote"])


@hypothesis_settings(max_examples=60)
@given(EVENTS, st.randoms(use_true_random=False))
def test_order_of_quotes_and_candles_does_not_matter(
    catalog: sa.Engine, events: list[tuple[str, Any, int, float]], random: Random
) -> None:
    tables = []
    # Of two candles of one exchange that open at the same time, the later one counts.
    events = list(
        {
            (code, kind, opening(kind, minute)): (code, kind, minute, price) for code, kind, minute, price in events
        }.values()
    )
    for _ in range(3):
        random.shuffle(events)
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "prices"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        for code, kind, minute, price in events:
            if kind == "quote":
                load(catalog, quote(price, minute, code), now=at(2000))
            else:
                candle = Candle(opening(kind, minute), price, price + 2, price - 0.7, price, price / 3)
                store_candles(catalog, kind, [StoredCandle(instrument_id(catalog, code), candle)])
            if random.random() < 0.5:
                refresh_candles(catalog)
        refresh_candles(catalog)
        tables.append(all_candles(catalog))
    assert tables[0] == tables[1] == tables[2]


def opening(kind: str, minute: int) -> datetime:
    return at(minute) if kind == "quote" else floor_to(at(minute), WIDTHS[parse_resolution(kind)])


def test_refreshing_again_writes_nothing(catalog: sa.Engine) -> None:
    store(catalog, "kraken", [100] * 5)
    store(catalog, "coinbase", [100_000], 20)
    store(catalog, "kraken", [100], 20)
    with transaction(catalog) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO stale_candles (instrument_id, changed, first_at, last_at) VALUES (:id, '1m', :at, :at)"
            ),
            [{"id": instrument_id(catalog, "kraken"), "at": at(minute)} for minute in (2, 20)],
        )
    assert set(refresh_candles(catalog).written.values()) == {0}
