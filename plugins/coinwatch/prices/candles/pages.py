"""Long ranges of candles in pages, and whether candles will still change."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.prices.candles.resolutions import WIDTHS, parse_resolution
from coinwatch.prices.candles.series import CandleSeries, read_candles
from coinwatch.prices.candles.time_grid import EARLIEST, MAX_CANDLES
from coinwatch.prices.catalog import INDEX, find_instrument
from coinwatch.time_range import DAY, validate_range


def read_candle_page(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    resolution: str,
    start: datetime,
    end: datetime,
    timezone: str = "UTC",
    now: datetime,
    origins: bool = False,
    limit: int = MAX_CANDLES,
) -> tuple[CandleSeries, datetime | None]:
    """The first ``limit`` candles that open in ``[start, end)``, and where the next page starts.

    That is None if there are no more. A page may have fewer candles than ``limit`` and not be the last. Takes and
    raises the same as ``read_candles``, but no range is too long.
    """
    validate_range(start, end)
    width = WIDTHS[parse_resolution(resolution)]
    start, end = max(start, EARLIEST), max(min(end, now), EARLIEST)
    page_end = min(end, start + limit * width)
    found = read_candles(
        engine,
        coin,
        exchange,
        quote,
        resolution=resolution,
        start=start,
        end=page_end if page_end > start else start + width,  # in the future: no candles
        timezone=timezone,
        now=now,
        origins=origins,
    )
    if len(found.candles) > limit:  # where clocks change, a day has 23 hours
        kept = replace(found, candles=found.candles[:limit], origins=found.origins[:limit], forming=False)
        return kept, found.candles[limit].opened_at
    if page_end >= end:
        return found, None
    return found, page_end if found.candles else _find_next(engine, found, page_end, end)


def are_final(engine: Engine, found: CandleSeries, now: datetime) -> bool:
    """Whether candles will not change: settled for a day, without a gap between them, and all from the exchange.

    A corporate action (a coin is renamed or redenominated) may still restate them.
    """
    if not found.candles or found.exchange == INDEX or found.resolution != found.made_of or found.timezone != "UTC":
        return False
    first, width = found.candles[0].opened_at, WIDTHS[found.resolution]
    end = found.candles[-1].opened_at + width
    if end > now - DAY or (end - first) / width != len(found.candles):
        return False
    with transaction(engine) as connection:
        instrument = find_instrument(connection, found.base, found.exchange, found.quote)
        parameters = {"instrument_id": instrument.instrument_id, "made_of": found.made_of, "start": first, "end": end}
        return not connection.execute(statement("prices/candles/has_provisional_candles"), parameters).scalar_one()


def _find_next(engine: Engine, found: CandleSeries, start: datetime, end: datetime) -> datetime | None:
    """Where to continue after a page without candles: shortly before the next one; None if there is none."""
    with transaction(engine) as connection:
        instrument = find_instrument(connection, found.base, found.exchange, found.quote)
        key = {"instrument_id": instrument.instrument_id, "start": start, "end": end}
        first = connection.execute(statement("prices/history/select_first_candles"), key).one()
    opened: datetime | None = {"1m": first.minutes, "1h": first.hours, "1d": first.days}[found.made_of]
    # The candle of a week or month that contains it opens earlier.
    return None if opened is None else max(start, opened - 2 * WIDTHS[found.resolution])
