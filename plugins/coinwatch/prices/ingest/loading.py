"""Loading quotes into the table ``prices``, each once, and marking the candles they change as stale.

Quotes are copied into a temporary table and inserted from there with ON CONFLICT. Ten thousand or more are most likely
new, so they are copied directly into ``prices``, which takes half the time; if one of them is already stored, they are
loaded the first way.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter

import psycopg
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from coinwatch.database import driver_connection, statement, transaction
from coinwatch.exchanges.models import Instrument, Quote, RejectedQuote, RejectionReason
from coinwatch.exchanges.validation import reject
from coinwatch.prices.ingest.partitions import ensure_partitions
from coinwatch.time_range import DAY, floor_to

FUTURE_TOLERANCE = timedelta(seconds=5)
DIRECT_COPY_ROWS = 10_000
COLUMN_TYPES = ("int4", "timestamptz", "float8", "float8", "float8", "float8", "timestamptz")
STALE_RANGE_TYPES = ("int4", "timestamptz", "timestamptz")
COPY = "COPY {} (instrument_id, observed_at, price, volume_24h, bid, ask, received_at) FROM STDIN (FORMAT binary)"
COPY_STALE = "COPY stale_candles (instrument_id, first_at, last_at) FROM STDIN (FORMAT binary)"
KEY = itemgetter(0, 1)

Row = tuple[int, datetime, float, float | None, float | None, float | None, datetime]
StaleRange = tuple[int, datetime, datetime]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How many quotes of a batch were inserted or not; the four counts add up to its size.

    ``repeated`` were already stored with the same price. ``conflicting`` were stored with another price, which was
    kept. ``rejected`` counts those that failed validation by reason.
    """

    inserted: int = 0
    repeated: int = 0
    conflicting: int = 0
    rejected: Mapping[RejectionReason, int] = field(default_factory=dict)


def load_quotes(
    engine: Engine,
    instrument_ids: Mapping[Instrument, int],
    quotes: Sequence[Quote],
    *,
    now: datetime,
    max_age: timedelta,
) -> LoadResult:
    """Load quotes of known instruments; loading the same ones again changes nothing.

    A quote more than 5 s ahead of ``now`` or older than ``max_age`` is rejected, logged and counted. The next
    ``refresh_candles`` updates the candles. Raises DatabaseError, in which case nothing was loaded.
    """
    accepted, rejected = _validate(quotes, now, max_age)
    counts = _load(engine, _rows(instrument_ids, accepted))
    return LoadResult(*counts, rejected=Counter(quote.reason for quote in rejected))


def log_rejections(rejected: Sequence[RejectedQuote]) -> None:
    """Log each rejected quote with its raw value."""
    for quote in rejected:
        log.warning(
            "quote rejected", exchange=quote.exchange, symbol=quote.symbol, reason=quote.reason.value, raw=quote.raw
        )


def _validate(quotes: Sequence[Quote], now: datetime, max_age: timedelta) -> tuple[list[Quote], list[RejectedQuote]]:
    latest, earliest = now + FUTURE_TOLERANCE, now - max_age
    accepted = [quote for quote in quotes if earliest <= quote.observed_at <= latest]
    rejected = [
        reject(
            quote.instrument,
            RejectionReason.FROM_THE_FUTURE if quote.observed_at > latest else RejectionReason.TOO_OLD,
            quote.observed_at.isoformat(),
        )
        for quote in quotes
        if not earliest <= quote.observed_at <= latest
    ]
    log_rejections(rejected)
    return accepted, rejected


def _rows(instrument_ids: Mapping[Instrument, int], quotes: Sequence[Quote]) -> list[Row]:
    """Rows in key order, so that two concurrent loads of the same quotes cannot deadlock."""
    rows = [
        (
            instrument_ids[quote.instrument],
            quote.observed_at,
            quote.price,
            quote.volume_24h,
            quote.bid,
            quote.ask,
            quote.received_at,
        )
        for quote in quotes
    ]
    rows.sort(key=KEY)
    return rows


def _load(engine: Engine, rows: list[Row]) -> tuple[int, int, int]:
    """Rows inserted, repeated and conflicting."""
    if len(rows) >= DIRECT_COPY_ROWS:
        ensure_partitions(engine, {row[1].date() for row in rows})
        try:
            _copy_new(engine, rows)
        except psycopg.errors.UniqueViolation:
            log.info("quotes already stored, loading with ON CONFLICT", quotes=len(rows))
        else:
            return len(rows), 0, 0
    try:
        return _insert(engine, rows)
    except IntegrityError:
        # Perhaps a day has no partition: they are created in advance, so this is rare and not checked beforehand.
        if not ensure_partitions(engine, {row[1].date() for row in rows}):
            raise
        return _insert(engine, rows)


def _copy_new(engine: Engine, rows: list[Row]) -> None:
    with transaction(engine) as connection:
        _copy(connection, COPY.format("prices"), COLUMN_TYPES, rows)
        _copy(connection, COPY_STALE, STALE_RANGE_TYPES, _stale_ranges(rows))
        connection.execute(statement("prices/ingest/create_quote_batch"))
        _copy(connection, COPY.format("quote_batch"), COLUMN_TYPES, _newest(rows))
        connection.execute(statement("prices/ingest/update_latest_quotes"))


def _insert(engine: Engine, rows: list[Row]) -> tuple[int, int, int]:
    with transaction(engine) as connection:
        connection.execute(statement("prices/ingest/create_quote_batch"))
        _copy(connection, COPY.format("quote_batch"), COLUMN_TYPES, rows)
        inserted = int(connection.execute(statement("prices/ingest/insert_quotes")).scalar_one())
        conflicting = _count_conflicts(connection) if inserted < len(rows) else 0
    return inserted, len(rows) - inserted - conflicting, conflicting


def _stale_ranges(rows: list[Row]) -> Iterator[StaleRange]:
    """Instrument, first and last time of the rows (in key order), for each instrument and UTC day."""
    if not rows:
        return
    instrument_id, first = rows[0][0], rows[0][1]
    last, midnight = first, floor_to(first, DAY) + DAY
    for row in rows:
        if row[0] != instrument_id or row[1] >= midnight:
            yield instrument_id, first, last
            instrument_id, first = row[0], row[1]
            midnight = floor_to(first, DAY) + DAY
        last = row[1]
    yield instrument_id, first, last


def _newest(rows: list[Row]) -> Iterator[Row]:
    """The last row of each instrument; the rows are in key order."""
    for row, following in pairwise([*rows, None]):
        if row and (following is None or following[0] != row[0]):
            yield row


def _copy(connection: Connection, command: str, types: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with driver_connection(connection).cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _count_conflicts(connection: Connection) -> int:
    conflicts = connection.execute(statement("prices/ingest/select_conflicts")).all()
    for row in conflicts:
        log.warning(
            "quote conflicts with stored price",
            instrument_id=row.instrument_id,
            observed_at=row.observed_at.isoformat(),
            price=row.price,
            stored_price=row.stored_price,
        )
    return len(conflicts)
