"""Quotes into the table ``prices``: COPY into a temporary table, then one INSERT … ON CONFLICT."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.database import driver_connection, statement, transaction
from coinwatch.exchanges.check import refuse
from coinwatch.exchanges.domain import Instrument, Quote, Refusal, RefusedQuote
from coinwatch.prices.partitions import ensure_partitions

FUTURE_TOLERANCE = timedelta(seconds=5)
COLUMN_TYPES = ("int4", "timestamptz", "float8", "float8", "float8", "float8", "timestamptz")
COPY = (
    "COPY quote_batch (instrument_id, observed_at, price, volume_24h, bid, ask, received_at) FROM STDIN (FORMAT binary)"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a batch of quotes; the four counts add up to its size.

    ``repeated`` were there already with the same price; ``conflicting`` were there with another price and
    changed nothing; ``refused`` never entered, by reason.
    """

    inserted: int = 0
    repeated: int = 0
    conflicting: int = 0
    refused: Mapping[Refusal, int] = field(default_factory=dict)


def load_quotes(
    engine: Engine,
    instrument_ids: Mapping[Instrument, int],
    quotes: Sequence[Quote],
    *,
    now: datetime,
    max_age: timedelta,
) -> LoadResult:
    """Load quotes of known instruments; loading the same ones again changes nothing.

    Their candles are made by the next ``refresh_candles``.

    A quote more than 5 s ahead of ``now`` or older than ``max_age`` is refused, logged and counted.
    Raises DatabaseError; then nothing was loaded.
    """
    accepted, refused = _sift(quotes, now, max_age)
    # In key order, so that two loads of the same quotes cannot wait for each other in a circle.
    accepted.sort(key=lambda quote: (instrument_ids[quote.instrument], quote.observed_at))
    ensure_partitions(engine, {quote.observed_at.astimezone(UTC).date() for quote in accepted})
    with transaction(engine) as connection:
        connection.execute(statement("prices/create_batch"))
        _copy(connection, instrument_ids, accepted)
        inserted = connection.execute(statement("prices/insert_batch")).rowcount
        conflicting = _count_conflicts(connection) if inserted < len(accepted) else 0
        if inserted:
            connection.execute(statement("prices/keep_latest"))
            connection.execute(statement("prices/mark_batch_stale"))
    return LoadResult(
        inserted=inserted,
        repeated=len(accepted) - inserted - conflicting,
        conflicting=conflicting,
        refused=Counter(quote.reason for quote in refused),
    )


def log_refusals(refused: Sequence[RefusedQuote]) -> None:
    """One line per refused quote, with the raw value."""
    for quote in refused:
        log.warning(
            "quote refused", exchange=quote.exchange, symbol=quote.symbol, reason=quote.reason.value, raw=quote.raw
        )


def _sift(quotes: Sequence[Quote], now: datetime, max_age: timedelta) -> tuple[list[Quote], list[RefusedQuote]]:
    latest, earliest = now + FUTURE_TOLERANCE, now - max_age
    accepted = [quote for quote in quotes if earliest <= quote.observed_at <= latest]
    refused = [
        refuse(
            quote.instrument,
            Refusal.FROM_THE_FUTURE if quote.observed_at > latest else Refusal.TOO_OLD,
            quote.observed_at.isoformat(),
        )
        for quote in quotes
        if not earliest <= quote.observed_at <= latest
    ]
    log_refusals(refused)
    return accepted, refused


def _copy(connection: Connection, instrument_ids: Mapping[Instrument, int], quotes: Sequence[Quote]) -> None:
    with driver_connection(connection).cursor() as cursor, cursor.copy(COPY) as copy:
        copy.set_types(COLUMN_TYPES)
        for quote in quotes:
            copy.write_row(
                (
                    instrument_ids[quote.instrument],
                    quote.observed_at,
                    quote.price,
                    quote.volume_24h,
                    quote.bid,
                    quote.ask,
                    quote.received_at,
                )
            )


def _count_conflicts(connection: Connection) -> int:
    conflicts = connection.execute(statement("prices/conflicts_of_batch")).all()
    for row in conflicts:
        log.warning(
            "quote conflicts with the stored one",
            instrument_id=row.instrument_id,
            observed_at=row.observed_at.isoformat(),
            refused=row.refused,
            stored=row.stored,
        )
    return len(conflicts)
