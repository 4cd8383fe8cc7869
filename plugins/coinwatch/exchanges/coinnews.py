"""coinnews, the market-data API bundled with coinwatch (:mod:`coinwatch.coinnews`), and compatible APIs.

One request per coin. Prices are in US dollars; there is no bid or ask. Compatible APIs need no candles or volumes.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote as url_quote

from coinwatch.errors import UnknownSymbol
from coinwatch.exchanges.base import Adapter, ArrayPayload, Payload
from coinwatch.exchanges.batching import QuoteResult
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.concurrency import fetch_each
from coinwatch.exchanges.models import NO_RATE_LIMIT, Instrument, QuoteBatch, RateLimiter, RawCandle, RejectionReason
from coinwatch.exchanges.timestamps import from_unix, parse_rfc3339
from coinwatch.exchanges.validation import parse_candle, reject, validate_quote
from coinwatch.time_range import TimeRange, ceil_to, split


# {"name": "BTC", "value": 96412.53, "market_value": 1.92e12, "roc": -0.42, "updated_at": "2026-11-20T06:00:01.25Z",
#  "volume_24h": 598500.0}
class CoinData(Payload):
    """``/api/data/{name}``; ``volume_24h`` is in the coin."""

    value: object
    updated_at: str
    volume_24h: object = None


# [[1763618400, 96400.0, 96420.0, 96390.0, 96412.53, 12.345], ...], oldest first
class CandleRow(ArrayPayload):
    """A row of ``/api/data/{name}/candles``; ``time`` is in seconds, ``volume`` in the coin."""

    time: object
    open: object
    high: object
    low: object
    close: object
    volume: object


class Coinnews(Adapter):
    """The adapter; a symbol is the API's name of the coin, which for the bundled server is our code."""

    base_url: ClassVar[str] = "http://127.0.0.1:18600"
    currency: ClassVar[str] = "USD"

    intervals: ClassVar[Mapping[int, None]] = dict.fromkeys((60, 3600, 86400))
    candles_per_call = 1440  # the server allows more, but a page must not take long on a busy machine
    max_concurrent_calls = 2  # the server computes each candle
    default_history_calls_per_second: ClassVar[float] = 50.0  # a server of our own

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
        """See :class:`Exchange`. A compatible API without candles has none for any time."""
        self.require_interval(interval_seconds)
        candles: list[RawCandle] = []
        sent_at = self._clock()
        step = timedelta(seconds=interval_seconds)
        whole = TimeRange(ceil_to(time_range.start, step), ceil_to(time_range.end, step))
        for page in split(whole, step * self.candles_per_call):
            rate_limiter.acquire()
            start, end = (int(moment.timestamp()) for moment in (page.start, page.end))
            path = f"{_coin_path(instrument)}/candles"
            parameters = {"start": start, "end": end, "interval": interval_seconds}
            response = self.client.get(path, parameters, expected={HTTPStatus.NOT_FOUND})
            sent_at = min(sent_at, response.sent_at)
            if response.status == HTTPStatus.NOT_FOUND:
                self._require_coin(instrument, rate_limiter)
                continue
            candles += parse_candles(instrument, self.parse_list(response.data, path), _parse_candle)
        return complete_candles(candles, interval_seconds, time_range, sent_at)

    def _require_coin(self, instrument: Instrument, rate_limiter: RateLimiter) -> None:
        """Raise UnknownSymbol unless the API has this coin."""
        rate_limiter.acquire()
        path = _coin_path(instrument)
        if self.client.get(path, expected={HTTPStatus.NOT_FOUND}).status == HTTPStatus.NOT_FOUND:
            raise UnknownSymbol(self.code, f"unknown symbol {instrument.symbol} ({path})")

    def _fetch_quote(self, instrument: Instrument) -> QuoteResult:
        if instrument.quote != self.currency:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.pair)
        response = self.client.get(_coin_path(instrument), expected={HTTPStatus.NOT_FOUND})
        if response.status == HTTPStatus.NOT_FOUND:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        coin = CoinData.try_parse(response.data)
        if coin is None:
            return reject(instrument, RejectionReason.MALFORMED, response.data)
        try:
            observed_at = parse_rfc3339(coin.updated_at)
        except ValueError:
            return reject(instrument, RejectionReason.MALFORMED, coin.updated_at)
        return validate_quote(instrument, coin.value, response.received_at, observed_at, volume_24h=coin.volume_24h)


def _coin_path(instrument: Instrument) -> str:
    return f"/api/data/{url_quote(instrument.symbol, safe='')}"


def _parse_candle(row: object) -> RawCandle:
    candle = CandleRow.model_validate(row)
    prices = (candle.open, candle.high, candle.low, candle.close)
    return parse_candle(from_unix(candle.time), prices, candle.volume)
