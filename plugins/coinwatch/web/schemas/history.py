"""Responses about prices over time."""

from datetime import datetime

from pydantic import BaseModel, Field

from coinwatch.prices.history.movers import CoinChanges


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


class ChangesResponse(BaseModel):
    """Price changes of all coins, in percent, in the order of ``windows_seconds``."""

    windows_seconds: list[float]
    coins: list[CoinChanges]
