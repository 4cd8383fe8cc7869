"""coinnews, the market-data API bundled with coinwatch (:mod:`coinwatch.coinnews`), and compatible APIs.

One request per coin. Prices are in US dollars; there is no volume, bid, ask or candle.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote as url_quote

from coinwatch.exchanges.base import Adapter, Payload, interval_not_offered
from coinwatch.exchanges.batching import QuoteResult
from coinwatch.exchanges.concurrency import fetch_each
from coinwatch.exchanges.models import NO_RATE_LIMIT, Instrument, QuoteBatch, RateLimiter, RawCandle, RejectionReason
from coinwatch.exchanges.timestamps import parse_rfc3339
from coinwatch.exchanges.validation import reject, validate_quote
from coinwatch.time_range import TimeRange


# {"name": "BTC", "value": 96412.53, "market_value": 1.92e12, "roc": -0.42, "updated_at": "2026-11-20T06:00:01.25Z"}
class CoinData(Payload):
    """``/api/data/{name}``."""

    value: object
    updated_at: str


class Coinnews(Adapter):
    """The adapter; a symbol is the API's name of the coin, which for the bundled server is our code."""

    base_url: ClassVar[str] = "http://127.0.0.1:18600"
    currency: ClassVar[str] = "USD"

    def symbol_for(self, base: str, quote: str) -> str:
        return base

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        return fetch_each(instruments, self._fetch_quote)

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        raise interval_not_offered(self.code, interval_seconds, self.intervals)

    def _fetch_quote(self, instrument: Instrument) -> QuoteResult:
        if instrument.quote != self.currency:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.pair)
        path = f"/api/data/{url_quote(instrument.symbol, safe='')}"
        response = self.client.get(path, expected={HTTPStatus.NOT_FOUND})
        if response.status == HTTPStatus.NOT_FOUND:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        coin = CoinData.try_parse(response.data)
        if coin is None:
            return reject(instrument, RejectionReason.MALFORMED, response.data)
        try:
            observed_at = parse_rfc3339(coin.updated_at)
        except ValueError:
            return reject(instrument, RejectionReason.MALFORMED, coin.updated_at)
        return validate_quote(instrument, coin.value, response.received_at, observed_at)
