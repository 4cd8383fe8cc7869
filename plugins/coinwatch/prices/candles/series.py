"""Reading candles at any resolution, in the local time of any time zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from coinwatch.database import fetch_rows, statement, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import WIDTHS, ReadResolution, Resolution, parse_resolution
from coinwatch.prices.candles.time_grid import EARLIEST, MONDAY, TimeGrid, build_time_grid
from coinwatch.prices.catalog import FoundInstrument, find_instrument
from coinwatch.time_range import floor_to, parse_time_zone, validate_range, validate_timestamp

DEFAULT_CANDLES = 500
# ``trades`` is only read with the origins: the index contains the other fields, so the table need not be read.
FIELDS = ("opened_at", "open", "high", "low", "close", "volume")


class Origin(NamedTuple):
    """Where a candle comes from: the ``exchange``, a ``rollup`` of the exchange's finer candles, or our own ``quotes``.

    ``trades`` is the number of trades that the exchange reported, ``samples`` the number of our own quotes.
    """

    source: str
    trades: int | None
    samples: int | None


@dataclass(frozen=True, slots=True)
class CandleSeries:
    """Candles of one instrument, oldest first; intervals without data are left out.

    ``made_of`` is the resolution of the stored candles they were read from. ``forming`` is True if the last candle is
    not complete yet. ``origins`` has one entry per candle, or is empty if they were not requested.
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
        """Each candle as a dictionary with its fields, whether it is ``complete``, and its origin if requested."""
        records: list[dict[str, Any]] = [
            {name: getattr(candle, name) for name in FIELDS} | {"complete": True} for candle in self.candles
        ]
        if self.forming:
            records[-1]["complete"] = False
        for record, origin in zip(records, self.origins, strict=False):
            record.update(origin._asdict())
        return records


class CandleCoverage(NamedTuple):
    """An exchange that has daily candles of a coin, with the opening times of the first and last (UTC)."""

    exchange: str
    quote: str
    first_at: datetime
    last_at: datetime


def read_candles(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    resolution: str,
    start: datetime | None = None,
    end: datetime,
    timezone: str = "UTC",
    now: datetime,
    origins: bool = False,
) -> CandleSeries:
    """Candles of one instrument that open in ``[start, end)``, at most ``time_grid.MAX_CANDLES``.

    Without ``start``, it is the time range of the last DEFAULT_CANDLES candles before ``end`` or ``now``.
    ``resolution`` is 1m, 5m, 15m, 1h, 4h, 1d, 1w (from Monday) or 1M (month). From four hours on, candles follow the
    local time of ``timezone``: days that differ from UTC days are made of hours, or of minutes if the offset is not a
    whole number of hours. ``coin`` is a code or a name; without ``exchange`` it is the index. Raises NotFound for an
    unknown coin, exchange or currency, and InvalidRequest for an unknown resolution or time zone and for an invalid or
    too long range.
    """
    wanted, zone = parse_resolution(resolution), parse_time_zone(timezone)
    validate_timestamp("end", end)
    start = start or max(min(end, now) - DEFAULT_CANDLES * WIDTHS[wanted], EARLIEST)
    validate_range(start, end)
    grid = build_time_grid(wanted, zone, start, min(end, max(start, now)))
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        candles = _read(connection, instrument, wanted, grid)
        found_origins = _read_origins(connection, instrument, wanted, grid, candles) if origins and candles else []
    return CandleSeries(
        exchange=instrument.exchange,
        base=instrument.base,
        quote=instrument.quote,
        resolution=wanted,
        timezone=zone.key,
        made_of=grid.made_of,
        candles=candles,
        forming=bool(candles) and grid.end_of(candles[-1].opened_at) > now,
        origins=found_origins,
    )


def find_last_candle(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    resolution: ReadResolution,
    before: datetime,
) -> datetime | None:
    """When the last candle of a UTC ``resolution`` before ``before`` opened; None if there is none. Raises NotFound."""
    width = WIDTHS[resolution]
    made_of = build_time_grid(resolution, ZoneInfo("UTC"), before - width, before).made_of
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        parameters = {"instrument_id": instrument.instrument_id, "made_of": made_of, "before": before}
        last = connection.execute(statement("prices/candles/select_last_opened_at"), parameters).scalar_one()
    if last is None:
        return None
    return last.replace(day=1) if resolution == "1M" else floor_to(last, width, MONDAY)


def read_candle_coverage(engine: Engine, coin: str) -> list[CandleCoverage]:
    """The exchanges that have daily candles of a coin (its code), the index first."""
    with transaction(engine) as connection:
        return fetch_rows(connection, "prices/candles/select_candle_coverage", {"base": coin}, CandleCoverage)


def _read(connection: Connection, instrument: FoundInstrument, wanted: ReadResolution, grid: TimeGrid) -> list[Candle]:
    parameters: dict[str, object] = {
        "instrument_id": instrument.instrument_id,
        "made_of": grid.made_of,
        "start": grid.start,
        "end": grid.end,
    }
    if wanted == grid.made_of:
        return fetch_rows(connection, "prices/candles/select_candles", parameters, Candle)
    parameters |= {
        "width": grid.width,
        "run_starts": None if grid.runs is None else [run.start for run in grid.runs],
        "run_lengths": None if grid.runs is None else [run.length for run in grid.runs],
    }
    return fetch_rows(connection, "prices/candles/aggregate_candles", parameters, Candle)


def _read_origins(
    connection: Connection,
    instrument: FoundInstrument,
    wanted: ReadResolution,
    grid: TimeGrid,
    candles: Sequence[Candle],
) -> list[Origin]:
    parameters = {
        "instrument_id": instrument.instrument_id,
        "made_of": grid.made_of,
        "derived": wanted != grid.made_of,
        "start": candles[0].opened_at,
        "end": min(grid.end, grid.end_of(candles[-1].opened_at)),
        "opened": [candle.opened_at for candle in candles],
    }
    return fetch_rows(connection, "prices/candles/select_candle_origins", parameters, Origin)
