"""coinnews, the market-data API that comes with coinwatch (:mod:`coinwatch.coinnews`) and others of its form.

One call per coin; prices in US dollars; no volume, no bid and ask, no candles.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote as url_quote

from coinwatch.errors import ExchangeDenied
from coinwatch.exchanges.base import Adapter, Wire, batch, one_by_one, try_parse
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import parse_rfc3339
from coinwatch.exchanges.validation import reject, validate_quote

CURRENCY = "USD"


# {"name": "BTC", "value": 96412.53, "market_value": 1.92e12, "roc": -0.42, "updated_at": "2026-11-20T06:00:01.25Z"}
class CoinData(Wire):
    """``GET /api/data/{name}``; ``roc`` (rate of change) is a percentage, not a fraction."""

    name: str
    value: object
    market_value: object = None
    roc: object = None
    updated_at: str


# [{"value": 96412.53, "date": "2026-11-20T06:00:00Z"}], or null when nothing was recorded yet
class HistoryPoint(Wire):
    """An element of ``GET /api/data/{name}/history``; the current value is not among them."""

    value: object
    date: str


class Coinnews(Adapter):
    """The adapter; a symbol is the API's name of the coin, which for the bundled server is our code."""

    base_url: ClassVar[str] = "http://127.0.0.1:18600"

    def symbol_for(self, base: str, quote: str) -> str:
        return base

    def list_instruments(self) -> list[Instrument]:
        names = self.rows(self.client.get("/api/data").data, "/api/data")
        return [self.instrument(name.upper(), CURRENCY, name) for name in names if isinstance(name, str)]

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        return one_by_one(instruments, self._fetch_quote)

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        raise ExchangeDenied(self.code, "has no candles, only the recorded values of its history")

    def fetch_history(self, instrument: Instrument) -> QuoteBatch:
        """The values recorded before the current one, oldest first; empty when the API has none (null)."""
        path = f"{_path(instrument)}/history"
        answer = self.client.get(path, expected={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            return QuoteBatch(rejected=[reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)])
        points = [] if answer.data is None else self.rows(answer.data, path)
        results = batch(_historical(instrument, point, answer.received_at) for point in points)
        return QuoteBatch(sorted(results.quotes, key=lambda quote: quote.observed_at), results.rejected)

    def _fetch_quote(self, instrument: Instrument) -> Quote | RejectedQuote:
        if instrument.quote != CURRENCY:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.pair)
        answer = self.client.get(_path(instrument), expected={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        coin = try_parse(CoinData, answer.data)
        if coin is None:
            return reject(instrument, RejectionReason.MALFORMED, answer.data)
        return _quote(instrument, coin.value, coin.updated_at, answer.received_at)


def _path(instrument: Instrument) -> str:
    return f"/api/data/{url_quote(instrument.symbol, safe='')}"


def _historical(instrument: Instrument, point: object, received_at: datetime) -> Quote | RejectedQuote:
    parsed = try_parse(HistoryPoint, point)
    if parsed is None:
        return reject(instrument, RejectionReason.MALFORMED, point)
    return _quote(instrument, parsed.value, parsed.date, received_at)


def _quote(instrument: Instrument, value: object, moment: str, received_at: datetime) -> Quote | RejectedQuote:
    try:
        observed_at = parse_rfc3339(moment)
    except ValueError:
        return reject(instrument, RejectionReason.MALFORMED, moment)
    return validate_quote(instrument, value, received_at, observed_at)
