"""The index: the median price of each pair across exchanges."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, Row

from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.prices.candles.refresh import mark_history_stale
from coinwatch.prices.ingest.index_values import (
    ExchangePrice,
    IndexPart,
    compute_index_value,
    split_outliers,
)
from coinwatch.prices.ingest.loading import FUTURE_TOLERANCE
from coinwatch.settings import Settings


@dataclass(frozen=True, slots=True)
class ExcludedPrice:
    """A price that does not count in the index because it is at least a hundred times off those of the others."""

    exchange: str
    pair: str
    price: float


def compute_index(engine: Engine, settings: Settings, as_of: datetime) -> int:
    """Store the index of every dollar-like pair; returns the number of new index prices.

    It is computed from the prices observed in the ``index_freshness_seconds`` before ``as_of``, or slightly later if an
    exchange's clock is ahead, and observed when the newest of them was. Computing it again from the same prices changes
    nothing. The first value after simulated ones starts the index anew. Raises DatabaseError.
    """
    with transaction(engine) as connection:
        freshness = timedelta(seconds=settings.index_freshness_seconds)
        pairs = list(_read_pairs(connection, as_of - freshness, as_of))
        rows = [row for pair in pairs if (row := _row(pair))]
        if not rows:
            return 0
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        query = statement("prices/ingest/insert_index_prices")
        inserted = int(connection.execute(query, columns | {"as_of": as_of}).scalar_one())
        restarted = [pair.instrument_id for pair in pairs if pair.was_simulated and _row(pair)]
        if restarted:
            acquire_lock(connection, Lock.CANDLES)
            restart = statement("prices/ingest/restart_index")
            members = list(connection.execute(restart, {"instrument_ids": restarted}).scalars())
            mark_history_stale(connection, members)
        return inserted


def find_excluded_prices(engine: Engine, freshness: timedelta, now: datetime) -> list[ExcludedPrice]:
    """The prices of the last ``freshness`` that the index leaves out, by exchange."""
    with transaction(engine) as connection:
        pairs = list(_read_pairs(connection, now - freshness, now))
    excluded = []
    for pair in pairs:
        _, outliers = split_outliers(pair.prices, pair.price.value if pair.price else None)
        excluded += [ExcludedPrice(price.exchange, pair.name, price.price) for price in outliers]
    return sorted(excluded, key=lambda price: (price.exchange, price.pair))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair's fresh prices, and the previous value of its index; ``was_simulated``: unlike the fresh prices."""

    instrument_id: int
    name: str
    prices: Sequence[ExchangePrice]
    previous_at: datetime | None
    price: IndexPart | None
    volume: IndexPart | None
    was_simulated: bool


def _read_pairs(connection: Connection, fresh_after: datetime, as_of: datetime) -> Iterator[_Pair]:
    query = statement("prices/ingest/select_fresh_prices")
    parameters = {"fresh_after": fresh_after, "newest": as_of + FUTURE_TOLERANCE}
    rows = connection.execute(query, parameters).all()
    for _, group in groupby(rows, key=lambda row: row.index_id):
        yield _pair(list(group))


def _pair(rows: Sequence[Row[Any]]) -> _Pair:
    first = rows[0]
    return _Pair(
        first.index_id,
        first.pair,
        [ExchangePrice(row.exchange, row.price, row.volume_24h, row.observed_at, row.aggregator) for row in rows],
        first.previous_at,
        IndexPart.from_dict(first.previous_price),
        IndexPart.from_dict(first.previous_volume),
        first.was_simulated,
    )


def _row(pair: _Pair) -> dict[str, object] | None:
    """The columns of a new index value; None if there is nothing new."""
    value = compute_index_value(pair.prices, pair.price, pair.volume)
    if value is None or (pair.previous_at is not None and value.observed_at <= pair.previous_at):
        return None
    return {
        "instrument_ids": pair.instrument_id,
        "previous_at": pair.previous_at,
        "previous_divisors": pair.price.divisor if pair.price else 1.0,
        "observed_at": value.observed_at,
        "prices": value.price.value,
        "price_divisors": value.price.divisor,
        "volumes": value.volume.value if value.volume else None,
        "volume_divisors": value.volume.divisor if value.volume else 1.0,
        "price_parts": json.dumps(value.price.as_dict()),
        "volume_parts": json.dumps(value.volume.as_dict()) if value.volume else None,
    }
