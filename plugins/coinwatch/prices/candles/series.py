"""Reading candles: at any resolution, by the clock of any time zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import ReadResolution, Resolution, parse_resolution
from coinwatch.prices.candles.time_grid import Periods, check_range, periods, time_zone
from coinwatch.prices.catalog import FoundInstrument, find_instrument

# Trades are part of the origins: only those who ask for them read the table, and not just its index.
READ_FIELDS = ("opened_at", "open", "high", "low", "close", "volume")


class Origin(NamedTuple):
    """Where a candle comes from: ``exchange`` (its own word), ``rollup`` of the exchange's, or our ``quotes``.

    ``trades`` is the exchange's count, ``samples`` the number of our own quotes; None where not told.
    """

    source: str
    trades: int | None
    samples: int | None


@dataclass(frozen=True, slots=True)
class CandleSeries:
    """Candles of one instrument, oldest first; where nothing is known there is none.

    ``made_of`` is the resolution of the stored candles they were read from. ``forming`` says that the last one is not
    over yet: its numbers will change. ``origins`` has one entry per candle where they were asked for, else it is empty.
    """

    exchange: str
    base: str
    quote: str
    resolution: ReadResolution
    timezone: str
    made_of: Resolution
    candles: list[Candle]
    forming: bool
    origins: list[Origin]

    def records(self) -> list[dict[str, Any]]:
        """The candles for programs: each by its fields, whether it is ``complete``, and its origin where asked for."""
        records: list[dict[str, Any]] = [
            {name: getattr(candle, name) for name in READ_FIELDS} | {"complete": True} for candle in self.candles
        ]
        if self.forming:
            records[-1]["complete"] = False
        for record, origin in zip(records, self.origins, strict=False):
            record.update(origin._asdict())
        return records


class Holding(NamedTuple):
    """An exchange that has candles of a coin, opened from ``first_at`` to ``last_at`` (days, UTC)."""

    exchange: str
    quote: str
    first_at: datetime
    last_at: datetime


def candles(
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
) -> CandleSeries:
    """Candles of one instrument that open in ``[start, end)``: 1m, 5m, 15m, 1h, 4h, 1d, 1w (Monday) or 1M (month).

    From four hours on they go by the clock of ``timezone``: days that are not UTC's are made of hours, of minutes where
    its offset is no whole number of hours. At most ``periods.MAX_CANDLES``. ``coin`` is a code or a name; without
    ``exchange`` it is the index. Raises NotFound for an unknown coin, exchange or currency, InvalidRequest for an
    unknown resolution or time zone and for a range that is nonsensical or too long.
    """
    check_range(start, end)
    wanted, zone = parse_resolution(resolution), time_zone(timezone)
    grid = periods(wanted, zone, start, min(end, max(start, now)))
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        found = _read(connection, instrument, wanted, grid)
        told = _origins(connection, instrument, wanted, grid, found) if origins and found else []
    forming = bool(found) and grid.end_of(found[-1].opened_at) > now
    return CandleSeries(
        instrument.exchange, instrument.base, instrument.quote, wanted, zone.key, grid.made_of, found, forming, told
    )


def holdings(engine: Engine, coin: str) -> list[Holding]:
    """Exchanges that have candles of a coin (its code), the index first."""
    with transaction(engine) as connection:
        return fetch_rows(connection, "prices/candles/where_else", {"base": coin}, Holding)


def _read(connection: Connection, instrument: FoundInstrument, wanted: ReadResolution, grid: Periods) -> list[Candle]:
    parameters = {
        "instrument_id": instrument.instrument_id,
        "made_of": grid.made_of,
        "start": grid.start,
        "end": grid.end,
    }
    if wanted == grid.made_of:
        return fetch_rows(connection, "prices/candles/stored", parameters, Candle)
    if grid.edges is None:
        return fetch_rows(connection, "prices/candles/even", parameters | {"width": grid.width}, Candle)
    return fetch_rows(connection, "prices/candles/uneven", parameters | {"edges": grid.edges}, Candle)


def _origins(
    connection: Connection, instrument: FoundInstrument, wanted: ReadResolution, grid: Periods, found: Sequence[Candle]
) -> list[Origin]:
    parameters = {
        "instrument_id": instrument.instrument_id,
        "made_of": grid.made_of,
        "derived": wanted != grid.made_of,
        "start": found[0].opened_at,
        "end": min(grid.end, grid.end_of(found[-1].opened_at)),
        "opened": [candle.opened_at for candle in found],
    }
    return fetch_rows(connection, "prices/candles/origins", parameters, Origin)
