"""Loading quotes: each is counted once, repeating a batch changes nothing, invalid ones are rejected."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from coinwatch.exchanges.models import RejectionReason
from tests.support.quotes import at, load, quote


def stored(engine: sa.Engine) -> list[tuple[str, float, float]]:
    with transaction(engine) as connection:
        rows = connection.execute(sa.text("SELECT * FROM price_history ORDER BY exchange, pair, observed_at"))
        return [
            (f"{row.exchange} {row.pair}", (row.observed_at - at(0)).total_seconds() / 60, row.price) for row in rows
        ]


def test_loading_a_batch_twice_stores_it_once(catalog: sa.Engine) -> None:
    batch = [quote(100.0, 0), quote(0.1 + 0.2, 1, bid=0.3, ask=0.31, volume_24h=7.0)]
    assert load(catalog, *batch).inserted == 2
    again = load(catalog, *batch)
    assert (again.inserted, again.repeated, again.conflicting) == (0, 2, 0)
    assert stored(catalog) == [("kraken BTC/USD", 0, 100.0), ("kraken BTC/USD", 1, 0.30000000000000004)]


def test_different_price_for_the_same_time_is_a_conflict(catalog: sa.Engine) -> None:
    load(catalog, quote(100.0, 0))
    result = load(catalog, quote(101.0, 0), quote(102.0, 1))
    assert (result.inserted, result.repeated, result.conflicting) == (1, 0, 1)
    assert stored(catalog) == [("kraken BTC/USD", 0, 100.0), ("kraken BTC/USD", 1, 102.0)]


def test_first_of_two_quotes_for_the_same_time_wins(catalog: sa.Engine) -> None:
    result = load(catalog, quote(100.0, 0), quote(100.0, 0), quote(99.0, 0))
    assert (result.inserted, result.repeated, result.conflicting) == (1, 1, 1)
    assert stored(catalog) == [("kraken BTC/USD", 0, 100.0)]


def test_future_and_outdated_quotes_are_rejected(catalog: sa.Engine) -> None:
    assert load(catalog, quote(1.0, 5 / 60), now=at(0)).inserted == 1, "clocks may differ by 5 seconds"
    rejected = load(catalog, quote(1.0, 5.1 / 60), quote(1.0, -60 * 24 * 31), now=at(0)).rejected
    assert rejected == {RejectionReason.FROM_THE_FUTURE: 1, RejectionReason.TOO_OLD: 1}


def test_late_quote_creates_its_partition(catalog: sa.Engine) -> None:
    load(catalog, quote(1.0, 0), quote(2.0, -60 * 24 * 3), now=at(0))
    with transaction(catalog) as connection:
        tables = connection.execute(sa.text("SELECT DISTINCT tableoid::regclass::text FROM prices ORDER BY 1"))
        assert list(tables.scalars()) == ["prices_20260226", "prices_20260301"]


def test_empty_batch_does_nothing(catalog: sa.Engine) -> None:
    from coinwatch.prices.ingest.loading import LoadResult, load_quotes

    assert load_quotes(catalog, {}, [], now=at(0), max_age=timedelta(days=1)) == LoadResult(rejected={})


@hypothesis_settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.floats(1e-12, 1e12), st.sampled_from(["kraken", "coinbase"])),
        min_size=1,
        max_size=30,
    )
)
def test_every_quote_is_counted_exactly_once(catalog: sa.Engine, given_quotes: list[tuple[int, float, str]]) -> None:
    batch = [quote(price, minute, exchange) for minute, price, exchange in given_quotes]
    before = len(stored(catalog))
    result = load(catalog, *batch, now=at(10))
    assert result.inserted + result.repeated + result.conflicting + sum(result.rejected.values()) == len(batch)
    assert len(stored(catalog)) == before + result.inserted


def test_large_batch_is_copied_directly_unless_a_quote_is_already_stored(
    catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.prices.ingest.loading.DIRECT_COPY_ROWS", 3)
    first = [quote(10, 0), quote(11, 1), quote(12, 60 * 12), quote(20, 2, "coinbase")]
    assert load(catalog, *first, now=at(1000)).inserted == 4
    again = load(catalog, quote(99, 1), quote(12, 60 * 12), quote(13, 60 * 13), quote(14, 3), now=at(1000))
    assert (again.inserted, again.repeated, again.conflicting) == (2, 1, 1)
    assert [price for _, _, price in stored(catalog)] == [20.0, 10.0, 11.0, 14.0, 12.0, 13.0]
    with transaction(catalog) as connection:
        newest = connection.execute(sa.text("SELECT price FROM latest_quotes ORDER BY instrument_id")).scalars().all()
        stale = connection.execute(sa.text("SELECT count(*) FROM stale_candles")).scalar_one()
    assert sorted(newest) == [13.0, 20.0]
    assert stale == 5, "one time range per load, instrument and day"
