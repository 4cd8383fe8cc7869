"""Responses about prices over time."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from coinwatch.prices.candles.series import CandleSeries
from coinwatch.prices.history.movers import WINDOWS, CoinChanges
from coinwatch.web.formats.tables import Table, field_types


class PointResponse(BaseModel):
    """One observed price."""

    observed_at: datetime
    price: float = Field(description="In the quote currency.")
    volume_24h: float | None = Field(description="Rolling 24 h volume in the base currency; null if unknown.")


class HistoryResponse(BaseModel):
    """Prices of one instrument, oldest first."""

    exchange: str
    base: str
    quote: str
    made_of: list[str] = Field(description="What the points were read from: prices, or candles of 1m, 1h or 1d.")
    downsampled: bool = Field(description="True if not all prices are listed.")
    points: list[PointResponse]


class CandleResponse(BaseModel):
    """One candle. ``source``, ``trades`` and ``samples`` are included with ``details`` only."""

    opened_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None = Field(description="In the base currency; null if part of it is unknown.")
    complete: bool = Field(description="False while the candle is still forming: its values will change.")
    source: str | None = Field(None, description="exchange, rollup (of the exchange's finer candles) or quotes (ours).")
    trades: int | None = Field(None, description="The exchange's trade count; null if unknown.")
    samples: int | None = Field(None, description="How many of our quotes the candle is made of.")


class CandlesResponse(BaseModel):
    """Candles of one instrument, oldest first. There is no candle where there is no data."""

    exchange: str
    base: str
    quote: str
    resolution: str
    timezone: str
    made_of: str = Field(description="Resolution of the stored candles they are computed from.")
    candles: list[CandleResponse]

    @classmethod
    def plain(cls, found: CandleSeries) -> dict[str, Any]:
        """The response as plain values, with origins if those were read; a model per candle would take far longer."""
        values = {name: getattr(found, name) for name in cls.model_fields if name != "candles"}
        return {**values, "candles": found.records()}


def candles_table(found: CandleSeries) -> Table:
    """Candles as rows, with their origins if those were read."""
    columns: dict[str, type] = {"exchange": str, "base": str, "quote": str, "resolution": str, "opened_at": datetime}
    columns |= dict.fromkeys(("open", "high", "low", "close", "volume"), float) | {"complete": bool}
    if found.origins:
        columns |= {"source": str, "trades": int, "samples": int}
    market = {name: getattr(found, name) for name in ("exchange", "base", "quote", "resolution")}
    return Table(columns, [tuple((market | record)[name] for name in columns) for record in found.records()])


def changes_table(coins: list[CoinChanges]) -> Table:
    """Changes as rows, with a column per window: change_1h_percent and so on."""
    fields = field_types(CoinChanges)
    columns = dict(fields) | {f"change_{name}_percent": float for name in WINDOWS}
    rows = [
        (*(getattr(coin, name) for name in fields), *(coin.changes_percent[name] for name in WINDOWS)) for coin in coins
    ]
    return Table(columns, rows)


class ChangesResponse(BaseModel):
    """Price changes of all coins, in percent, by window."""

    windows_seconds: dict[str, float] = Field(examples=[{"1h": 3600, "24h": 86400}])
    coins: list[CoinChanges]

    @classmethod
    def create(cls, coins: list[CoinChanges]) -> "ChangesResponse":
        """The response for changes over the default windows."""
        return cls(windows_seconds={name: window.total_seconds() for name, window in WINDOWS.items()}, coins=coins)
