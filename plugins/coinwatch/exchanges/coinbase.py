"""Coinbase Exchange (not the retail Coinbase API, nor Advanced Trade): public market data, no API key.

Documentation: https://docs.cdp.coinbase.com/exchange. 10 requests a second per IP address. A ticker is one request per
product. ``/products/stats`` returns last price and volume of all products, but no timestamp, bid or ask, and it is not
documented. coinwatch therefore uses tickers for few instruments and stats for many, and falls back to tickers if
stats disappear.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote as url_quote

from coinwatch.clock import Clock, utc_now
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import ExchangeDenied, UnknownSymbol
from coinwatch.exchanges.base import Adapter, ArrayPayload, Payload
from coinwatch.exchanges.batching import QuoteResult, build_batch
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.concurrency import TokenBucket, fetch_each
from coinwatch.exchanges.http_client import Response
from coinwatch.exchanges.models import (
    NO_RATE_LIMIT,
    Instrument,
    QuoteBatch,
    RateLimiter,
    RawCandle,
    RejectedQuote,
    RejectionReason,
)
from coinwatch.exchanges.timestamps import from_unix, parse_rfc3339
from coinwatch.exchanges.trading_status import reject_not_trading, trading_status
from coinwatch.exchanges.validation import parse_candle, reject, validate_quote
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, ceil_to


# {"ask": "96412.54", "bid": "96412.53", "volume": "5123.4567", "trade_id": 89012345, "price": "96412.53",
#  "size": "0.0012", "time": "2026-11-20T06:00:01.123456Z"}
class Ticker(Payload):
    """``/products/{id}/ticker``; ``volume`` is in base, ``time`` that of the last trade."""

    price: object
    time: str
    volume: object = None
    bid: object = None
    ask: object = None


# [{"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": false,
#   "cancel_only": false, "post_only": false, "limit_only": false, "auction_mode": false}]
class Product(Payload):
    """An element of ``/products``, which also lists delisted products."""

    id: str
    status: str = "online"
    trading_disabled: object = False
    cancel_only: object = False
    post_only: object = False
    auction_mode: object = False

    @property
    def term(self) -> str:
        """Coinbase's own term for what keeps the product from being traded, or its status."""
        if self.status != "online":
            return self.status
        for flag in ("trading_disabled", "cancel_only", "post_only", "auction_mode"):
            if getattr(self, flag) is True:
                return flag
        return self.status


class DayStats(Payload):
    last: object
    volume: object = None


# {"BTC-USD": {"stats_24hour": {"open": "95800", "high": "97010.5", "low": "95500", "last": "96412.53",
#              "volume": "5123.4567"}, "stats_30day": {"volume": "153703.70"}}}
class Stats(Payload):
    """A value of ``/products/stats``; ``volume`` is in base."""

    stats_24hour: DayStats


# [[1763618400, 96390.0, 96420.0, 96400.0, 96412.53, 12.345], ...], newest first
class CandleRow(ArrayPayload):
    """A row of ``/products/{id}/candles``; ``time`` is in seconds, ``volume`` in base. Note the order."""

    time: object
    low: object
    high: object
    open: object
    close: object
    volume: object


class Coinbase(Adapter):
    """The adapter; a symbol is a product's id: BTC-USD."""

    base_url: ClassVar[str] = "https://api.exchange.coinbase.com"
    table_of_codes: ClassVar[str] = "coinbase"
    products_path: ClassVar[str] = "/products"
    stats_path: ClassVar[str] = "/products/stats"
    requests_per_second: ClassVar[int] = 10
    burst: ClassVar[int] = 10
    max_tickers: ClassVar[int] = 30  # three seconds of requests; above that, stats

    intervals: ClassVar[Mapping[int, None]] = dict.fromkeys((60, 300, 900, 3600, 21600, 86400))
    candles_per_call = 300
    default_history_calls_per_second: ClassVar[float] = requests_per_second / 2

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        super().__init__(code, exchange, settings, clock)
        self._token_bucket = TokenBucket(self.requests_per_second, self.burst)

    def symbol_for(self, base: str, quote: str) -> str:
        return f"{self.own_code(base)}-{self.own_code(quote)}"

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        self.require_interval(interval_seconds)
        path = f"{_product_path(instrument)}/candles"
        step = timedelta(seconds=interval_seconds)
        now = self._clock()
        page_start, end = ceil_to(time_range.start, step), min(time_range.end, now)
        candles: list[RawCandle] = []
        while page_start < end:
            # Both ends of a page are inclusive. An empty page means no trades, not the end of the data.
            page_end = page_start + (self.candles_per_call - 1) * step
            rate_limiter.acquire()
            response = self._get(
                path, {"granularity": interval_seconds, "start": _iso(page_start), "end": _iso(min(page_end, end))}
            )
            if response.status == HTTPStatus.NOT_FOUND:
                raise self._not_found(response, path, instrument)
            candles += parse_candles(instrument, self.parse_list(response.data, path), _parse_candle)
            page_start = page_end + step
            now = min(now, response.sent_at)
        return complete_candles(candles, interval_seconds, time_range, now)

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if len(instruments) > self.max_tickers:
            from_stats = self._fetch_stats(instruments)
            if from_stats is not None:
                return from_stats
        return fetch_each(instruments, self._fetch_ticker)

    def fetch_trading_status(self, instruments: Sequence[Instrument]) -> Sequence[RejectedQuote]:
        """See :class:`Exchange`. One request for all products."""
        response = self._get(self.products_path)
        if response.status != HTTPStatus.OK:  # prices without a status are better than none
            return ()
        rows = [Product.try_parse(row) for row in self.parse_list(response.data, self.products_path)]
        products = {product.id: product for product in rows if product is not None}
        return [
            reject_not_trading(instrument, status, product.term)
            for instrument in instruments
            if (product := products.get(instrument.symbol)) is not None
            and (status := trading_status(product.term)) is not None
        ]

    def _fetch_ticker(self, instrument: Instrument) -> QuoteResult:
        path = f"{_product_path(instrument)}/ticker"
        response = self._get(path)
        if response.status == HTTPStatus.NOT_FOUND:
            error = self._not_found(response, path, instrument)
            if not isinstance(error, UnknownSymbol):
                raise error
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        ticker = Ticker.try_parse(response.data)
        if ticker is None:
            return reject(instrument, RejectionReason.MALFORMED, response.data)
        try:
            observed_at = parse_rfc3339(ticker.time)
        except ValueError:
            return reject(instrument, RejectionReason.MALFORMED, ticker.time)
        return validate_quote(
            instrument,
            ticker.price,
            response.received_at,
            observed_at,
            volume_24h=ticker.volume,
            bid=ticker.bid,
            ask=ticker.ask,
        )

    def _fetch_stats(self, instruments: Sequence[Instrument]) -> QuoteBatch | None:
        """Quotes from the stats of all products, or None if Coinbase no longer offers them."""
        response = self._get(self.stats_path)
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        table = self.parse_object(response.data, self.stats_path)
        return build_batch(_parse_stats(instrument, table, response.received_at) for instrument in instruments)

    def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> Response:
        self._token_bucket.acquire()
        return self.client.get(path, params, expected={HTTPStatus.NOT_FOUND})

    def _not_found(self, response: Response, path: str, instrument: Instrument) -> ExchangeDenied:
        """What a 404 means: with {"message": "NotFound"} the product is unknown, with a page the URL is wrong."""
        if isinstance(response.data, dict):
            return UnknownSymbol(self.code, f"unknown symbol {instrument.symbol}")
        return ExchangeDenied(
            self.code, f"{path} was not found (HTTP 404); check exchanges.{self.code}.base_url in the configuration"
        )


def _product_path(instrument: Instrument) -> str:
    return f"/products/{url_quote(instrument.symbol, safe='')}"


def _parse_stats(instrument: Instrument, table: Mapping[str, object], received_at: datetime) -> QuoteResult:
    if instrument.symbol not in table:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
    stats = Stats.try_parse(table[instrument.symbol])
    if stats is None:
        return reject(instrument, RejectionReason.MALFORMED, table[instrument.symbol])
    return validate_quote(instrument, stats.stats_24hour.last, received_at, volume_24h=stats.stats_24hour.volume)


def _parse_candle(row: object) -> RawCandle:
    candle = CandleRow.model_validate(row)
    prices = (candle.open, candle.high, candle.low, candle.close)
    return parse_candle(from_unix(candle.time), prices, candle.volume)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
