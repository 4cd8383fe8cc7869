"""Holding back price jumps until another quote confirms them, so that one bad tick fires no alert.

A quote that is further than ``unconfirmed_jump_percent`` from the instrument's last price waits in
``unconfirmed_quotes``, where no rule, index or chart sees it. It is confirmed by the next quote of the same exchange or
by another exchange, and is then loaded as if it had never waited. See docs/index.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import log as logarithm
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from coinwatch.database import fetch_rows, statement, transaction
from coinwatch.exchanges.models import Instrument, Quote
from coinwatch.prices.ingest.loading import FUTURE_TOLERANCE, load_quotes
from coinwatch.settings import Settings

VOLUME_FACTOR = 100  # a 24 h volume this many times the last one is in another unit, or a mistake
KEPT = timedelta(days=30)  # how long quotes that were never confirmed are kept, for operators

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Jump:
    """A quote that waits for confirmation, and the ``reference`` it is too far from: the last price before it."""

    quote: Quote
    reference: float


class UnconfirmedQuote(NamedTuple):
    """A quote that waits for confirmation, or that was ``rejected_at`` because nothing confirmed it."""

    exchange: str
    base: str
    quote: str
    observed_at: datetime
    price: float
    reference: float
    rejected_at: datetime | None


class _LastPrice(NamedTuple):
    instrument_id: int
    price: float
    volume_24h: float | None


class _Row(NamedTuple):
    instrument_id: int
    exchange: str
    base: str
    quote: str
    symbol: str
    observed_at: datetime
    received_at: datetime
    price: float
    volume_24h: float | None
    bid: float | None
    ask: float | None
    reference: float


def hold_jumps(
    engine: Engine, settings: Settings, instrument_ids: Mapping[Instrument, int], quotes: Sequence[Quote], now: datetime
) -> tuple[list[Quote], int]:
    """The quotes to load, with those that they confirm, and how many were held back and stored for later.

    Quotes from the future are left to ``load_quotes``, which rejects them. Raises DatabaseError.
    """
    limit = settings.unconfirmed_jump_percent
    if not limit or not quotes:
        return list(quotes), 0
    ids = {instrument_ids[quote.instrument]: quote.instrument for quote in quotes}
    with transaction(engine) as connection:
        parameters = {"instrument_ids": list(ids)}
        rows = fetch_rows(connection, "prices/ingest/confirmation/select_last_prices", parameters, _LastPrice)
        waiting = fetch_rows(connection, "prices/ingest/confirmation/select_waiting_quotes", parameters, _Row)
        known = {ids[row.instrument_id]: row.price for row in rows}
        volumes = {ids[row.instrument_id]: row.volume_24h for row in rows}
        future = [quote for quote in quotes if quote.observed_at > now + FUTURE_TOLERANCE]
        present = [quote for quote in quotes if quote.observed_at <= now + FUTURE_TOLERANCE]
        accepted, held = split_jumps(present, known, [_jump(row) for row in waiting], limit)
        for jump in held:
            log.warning(
                "price jump waits for confirmation",
                exchange=jump.quote.instrument.exchange,
                pair=jump.quote.instrument.pair,
                price=jump.quote.price,
                reference=jump.reference,
            )
            query = statement("prices/ingest/confirmation/insert_unconfirmed_quote")
            connection.execute(query, _columns(jump, instrument_ids[jump.quote.instrument]))
    return [*future, *(_without_volume_jump(quote, volumes.get(quote.instrument)) for quote in accepted)], len(held)


def split_jumps(
    quotes: Iterable[Quote], last_prices: Mapping[Instrument, float], waiting: Iterable[Jump], limit: float
) -> tuple[list[Quote], list[Jump]]:
    """The quotes to load, and those to hold back, in order of time.

    A quote is held back if it is more than ``limit`` percent from the last price of its instrument and does not confirm
    one that is ``waiting``. A waiting quote that is confirmed is among those to load.
    """
    last = dict(last_prices)
    waits: dict[Instrument, list[Jump]] = defaultdict(list)
    for jump in waiting:
        waits[jump.quote.instrument].append(jump)
    accepted: list[Quote] = []
    held: list[Jump] = []
    for quote in sorted(quotes, key=lambda each: each.observed_at):
        jumps = waits[quote.instrument]
        confirmed = [jump for jump in jumps if _confirms(quote, jump, limit)]
        reference = last.get(quote.instrument)
        if confirmed or reference is None or not _is_jump(quote.price, reference, limit):
            accepted += [*(jump.quote for jump in confirmed), quote]
            waits[quote.instrument] = [jump for jump in jumps if jump not in confirmed]
            held = [jump for jump in held if jump not in confirmed]
            last[quote.instrument] = quote.price
        else:
            jump = Jump(quote, reference)
            jumps.append(jump)
            held.append(jump)
    return accepted, held


def confirm_quotes(engine: Engine, settings: Settings, now: datetime) -> int:
    """Load the waiting quotes that other exchanges confirm; return their number.

    A quote is rejected for good if its exchange has had another price since, and nothing has confirmed it in the
    ``index_freshness_seconds`` after it. Raises DatabaseError.
    """
    freshness = timedelta(seconds=settings.index_freshness_seconds)
    with transaction(engine) as connection:
        waiting = connection.execute(statement("prices/ingest/confirmation/select_waiting_range")).mappings().one()
        if waiting["oldest"] is None:
            return 0
        parameters = {"limit": settings.unconfirmed_jump_percent / 100, "freshness": freshness}
        rows = fetch_rows(connection, "prices/ingest/confirmation/select_confirmed_quotes", parameters, _Row)
    jumps = [_jump(row) for row in rows]
    ids = {jump.quote.instrument: row.instrument_id for jump, row in zip(jumps, rows, strict=True)}
    if jumps:
        max_age = timedelta(days=settings.quote_max_age_days)
        load_quotes(engine, ids, [jump.quote for jump in jumps], now=now, max_age=max_age)
    with transaction(engine) as connection:
        limits = {"now": now, "unconfirmed_before": now - freshness, "delete_before": now - KEPT}
        connection.execute(statement("prices/ingest/confirmation/delete_loaded_quotes"), dict(waiting))
        connection.execute(statement("prices/ingest/confirmation/reject_unconfirmed_quotes"), limits)
        connection.execute(statement("prices/ingest/confirmation/delete_rejected_quotes"), limits)
    return len(jumps)


def list_unconfirmed_quotes(engine: Engine, since: datetime) -> list[UnconfirmedQuote]:
    """The quotes that wait, and those that were rejected after ``since``, newest first."""
    with transaction(engine) as connection:
        query = "prices/ingest/confirmation/select_unconfirmed_quotes"
        return fetch_rows(connection, query, {"since": since}, UnconfirmedQuote)


def _without_volume_jump(quote: Quote, last: float | None) -> Quote:
    """The quote without a volume that is implausibly far from the last one, as in another unit.

    The next one is accepted, because there is no last volume then: like a price, it has to be seen twice.
    """
    volume = quote.volume_24h
    if not volume or not last or max(volume / last, last / volume) < VOLUME_FACTOR:
        return quote
    instrument = quote.instrument
    log.warning("volume left out", exchange=instrument.exchange, pair=instrument.pair, volume_24h=volume, last=last)
    return replace(quote, volume_24h=None)


def _is_jump(price: float, reference: float, limit: float) -> bool:
    return abs(price / reference - 1) * 100 > limit


def _confirms(quote: Quote, jump: Jump, limit: float) -> bool:
    """Whether a later quote is near the waiting one, and nearer to it than to the price before."""
    return (
        quote.observed_at > jump.quote.observed_at
        and not _is_jump(quote.price, jump.quote.price, limit)
        and abs(logarithm(quote.price / jump.quote.price)) <= abs(logarithm(quote.price / jump.reference))
    )


def _jump(row: _Row) -> Jump:
    instrument = Instrument(row.exchange, row.base, row.quote, row.symbol)
    return Jump(
        Quote(instrument, row.price, row.observed_at, row.received_at, row.volume_24h, row.bid, row.ask), row.reference
    )


def _columns(jump: Jump, instrument_id: int) -> dict[str, object]:
    quote = jump.quote
    return {
        "instrument_id": instrument_id,
        "observed_at": quote.observed_at,
        "received_at": quote.received_at,
        "price": quote.price,
        "volume_24h": quote.volume_24h,
        "bid": quote.bid,
        "ask": quote.ask,
        "reference": jump.reference,
    }
