"""Coinbase Exchange (not the retail "Coinbase" nor Advanced Trade): public market data without a key.

Source: Coinbase Exchange's REST documentation. 10 requests a second per address. A ticker is one call per product;
``/products/stats`` gives last price and volume of all products at once but neither time nor bid and ask, and
stands in no documentation though many rely on it. So: tickers for few instruments, the statistics for many, and
tickers again should the statistics disappear.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import quote as url_quote

from coinwatch.clock import Clock, utc_now
from coinwatch.errors import ExchangeDenied, UnknownSymbol
from coinwatch.exchanges.base import (
    Adapter,
    Pace,
    Wire,
    batch,
    candle_or_none,
    complete_candles,
    one_by_one,
    try_parse,
)
from coinwatch.exchanges.http_client import Answer
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import from_unix, parse_rfc3339
from coinwatch.exchanges.validation import reject, validate_quote
from coinwatch.settings import ExchangeSettings, Settings
from coinwatch.time_range import ceil_to

PRODUCTS = "/products"
STATS = "/products/stats"
REQUESTS_A_SECOND = 10
BURST = 10
TICKERS_AT_MOST = 30  # three seconds' worth of requests
CANDLES_PER_CALL = 300
INTERVALS: Mapping[int, None] = dict.fromkeys((60, 300, 900, 3600, 21600, 86400))


# {"ask": "96412.54", "bid": "96412.53", "volume": "5123.4567", "trade_id": 89012345, "price": "96412.53",
#  "size": "0.0012", "time": "2026-11-20T06:00:01.123456Z"}
class Ticker(Wire):
    """``/products/{id}/ticker``; ``volume`` is in the base currency, ``time`` that of the last trade."""

    price: object
    time: str
    volume: object = None
    bid: object = None
    ask: object = None


# {"open": "95800", "high": "97010.5", "low": "95500", "last": "96412.53", "volume": "5123.4567"}
class DayStats(Wire):
    """``stats_24hour`` of a product in ``/products/stats``."""

    last: object
    volume: object = None


class Stats(Wire):
    """A value of ``/products/stats``, whose keys are the products' ids."""

    stats_24hour: DayStats


# {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "status": "online", "trading_disabled": false}
class Product(Wire):
    """An element of ``/products``."""

    id: str
    base_currency: str
    quote_currency: str
    status: str
    trading_disabled: bool = False


class Coinbase(Adapter):
    """The adapter; a symbol is a product's id: BTC-USD."""

    base_url: ClassVar[str] = "https://api.exchange.coinbase.com"
    candle_intervals = (60, 3600, 86400)
    candles_per_call = CANDLES_PER_CALL
    default_history_calls_per_second: ClassVar[float] = REQUESTS_A_SECOND / 2

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        super().__init__(code, exchange, settings, clock)
        self._pace = Pace(REQUESTS_A_SECOND, BURST)

    def symbol_for(self, base: str, quote: str) -> str:
        return f"{base}-{quote}"

    def list_instruments(self) -> list[Instrument]:
        products = [try_parse(Product, row) for row in self.rows(self.client.get(PRODUCTS).data, PRODUCTS)]
        return [
            self.instrument(product.base_currency, product.quote_currency, product.id)
            for product in products
            if product is not None and product.status == "online" and not product.trading_disabled
        ]

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if len(instruments) > TICKERS_AT_MOST:
            from_stats = self._fetch_stats(instruments)
            if from_stats is not None:
                return from_stats
        return one_by_one(instruments, self._fetch_ticker)

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        self.interval(INTERVALS, interval_seconds)
        path = f"{PRODUCTS}/{url_quote(instrument.symbol, safe='')}/candles"
        step = timedelta(seconds=interval_seconds)
        now = self._clock()
        page_start, pages_end = ceil_to(start, step), min(end, now)
        candles: list[Candle | None] = []
        while page_start < pages_end:
            # Both ends of the window belong to it; an empty window means no trades, not the end of the data.
            page_end = page_start + (CANDLES_PER_CALL - 1) * step
            self.before_history_call(None)
            self._pace.wait()
            answer = self.client.get(
                path,
                {"granularity": interval_seconds, "start": _iso(page_start), "end": _iso(min(page_end, pages_end))},
                expected={HTTPStatus.NOT_FOUND},
            )
            if answer.status == HTTPStatus.NOT_FOUND:
                raise self._not_found(answer, path, instrument)
            candles += [_candle(instrument, row) for row in self.rows(answer.data, path)]
            page_start = page_end + step
        return complete_candles(candles, interval_seconds, start, end, now)

    def _fetch_ticker(self, instrument: Instrument) -> Quote | RejectedQuote:
        path = f"{PRODUCTS}/{url_quote(instrument.symbol, safe='')}/ticker"
        self._pace.wait()
        answer = self.client.get(path, expected={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            missing = self._not_found(answer, path, instrument)
            if not isinstance(missing, UnknownSymbol):
                raise missing
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        ticker = try_parse(Ticker, answer.data)
        if ticker is None:
            return reject(instrument, RejectionReason.MALFORMED, answer.data)
        try:
            observed_at = parse_rfc3339(ticker.time)
        except ValueError:
            return reject(instrument, RejectionReason.MALFORMED, ticker.time)
        return validate_quote(
            instrument,
            ticker.price,
            answer.received_at,
            observed_at,
            volume_24h=ticker.volume,
            bid=ticker.bid,
            ask=ticker.ask,
        )

    def _not_found(self, answer: Answer, path: str, instrument: Instrument) -> ExchangeDenied:
        """What a 404 means: {"message": "NotFound"} is about the product, a page is about the address."""
        if isinstance(answer.data, dict):
            return UnknownSymbol(self.code, f"does not know the product {instrument.symbol}")
        return ExchangeDenied(self.code, f"has no {path}: check exchanges.{self.code}.base_url (HTTP 404)")

    def _fetch_stats(self, instruments: Sequence[Instrument]) -> QuoteBatch | None:
        """Quotes from the statistics of all products; None when the exchange no longer offers them."""
        self._pace.wait()
        answer = self.client.get(STATS, expected={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        table = self.table(answer.data, STATS)
        return batch(_quote_of_the_day(instrument, table, answer.received_at) for instrument in instruments)


def _quote_of_the_day(
    instrument: Instrument, table: Mapping[str, object], received_at: datetime
) -> Quote | RejectedQuote:
    if instrument.symbol not in table:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
    stats = try_parse(Stats, table[instrument.symbol])
    if stats is None:
        return reject(instrument, RejectionReason.MALFORMED, table[instrument.symbol])
    return validate_quote(instrument, stats.stats_24hour.last, received_at, volume_24h=stats.stats_24hour.volume)


# [1763618400, 96390.0, 96420.0, 96400.0, 96412.53, 12.345] = [time s, low, high, open, close, volume in base]
def _candle(instrument: Instrument, row: object) -> Candle | None:
    fields = row if isinstance(row, list) and len(row) > 5 else [None] * 6
    moment, low, high, opening, close, volume = fields[:6]
    return candle_or_none(instrument, lambda: from_unix(moment), (opening, high, low, close), volume)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
