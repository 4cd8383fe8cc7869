# ruff: noqa: N815 - payloads have Binance's own field names
"""Binance spot, through its market-data host, which needs no API key.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/rest-api. Every request has a weight; an IP
address may spend 6,000 a minute, and ``X-MBX-USED-WEIGHT-1M`` says how much it has spent. coinwatch stops before the
limit: exceeding it returns 429, and continuing after that 418, a ban of up to three days.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from coinwatch.errors import ExchangeDenied, ExchangeError, RateLimited, UnknownSymbol
from coinwatch.exchanges.base import Adapter, ArrayPayload, Payload
from coinwatch.exchanges.batching import QuoteResult, build_batch, split_into_chunks
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.excerpts import excerpt
from coinwatch.exchanges.http_client import Response, rate_limited
from coinwatch.exchanges.models import (
    NO_RATE_LIMIT,
    Instrument,
    QuoteBatch,
    RateLimiter,
    RawCandle,
    RejectedQuote,
    RejectionReason,
)
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.trading_status import reject_not_trading, trading_status
from coinwatch.exchanges.validation import parse_candle, reject, validate_quote
from coinwatch.time_range import MINUTE, TimeRange, floor_to


# [{"symbol": "BTCUSDT", "lastPrice": "96412.53000000", "bidPrice": "96412.52000000", "askPrice": "96412.53000000",
#   "volume": "21345.67890000", "quoteVolume": "2058012345.12", "openTime": 1763532000000, "closeTime": 1763618400000}]
class Ticker(Payload):
    """An element of ``/api/v3/ticker/24hr``; ``volume`` is in base, ``closeTime`` in milliseconds."""

    symbol: str
    lastPrice: object
    volume: object = None
    bidPrice: object = None
    askPrice: object = None
    closeTime: object


# [{"symbol": "ETHBTC", "price": "0.03467000"}]
class Price(Payload):
    """An element of ``/api/v3/ticker/price``, the cheapest list of all symbols (weight 4)."""

    symbol: str


# {"symbols": [{"symbol": "ETHBTC", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "BTC", ...}], ...}
class SymbolInfo(Payload):
    """An element of ``symbols`` in ``/api/v3/exchangeInfo`` (weight 20)."""

    symbol: str
    status: str = "TRADING"


class ExchangeInfo(Payload):
    symbols: list[object]


# [[1763618400000, "96400.00", "96420.00", "96390.00", "96412.53", "12.345", 1763618459999, "1190000.0", 2040, ...]]
class Kline(ArrayPayload):
    """A row of ``/api/v3/klines``; ``openTime`` is in milliseconds, ``volume`` in base."""

    openTime: object
    open: object
    high: object
    low: object
    close: object
    volume: object
    closeTime: object
    quoteVolume: object
    count: object


# {"code": -1121, "msg": "Invalid symbol."}
class BinanceError(Payload):
    """The body of a 400."""

    code: int
    msg: str = ""


class Binance(Adapter):
    """The adapter; a symbol is base and quote joined: BTCUSDT."""

    base_url: ClassVar[str] = "https://data-api.binance.vision"
    table_of_codes: ClassVar[str] = "binance"
    ticker_path: ClassVar[str] = "/api/v3/ticker/24hr"
    price_path: ClassVar[str] = "/api/v3/ticker/price"
    info_path: ClassVar[str] = "/api/v3/exchangeInfo"
    klines_path: ClassVar[str] = "/api/v3/klines"

    intervals: ClassVar[Mapping[int, str]] = {
        60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h",
        21600: "6h", 28800: "8h", 43200: "12h", 86400: "1d", 259200: "3d", 604800: "1w",
    }  # fmt: skip
    candles_per_call = 1000
    default_history_calls_per_second: ClassVar[float] = 25.0  # a request for candles weighs 2

    # Tickers of up to 20 symbols weigh 2, of the whole market 80: chunks are cheaper up to 800 symbols.
    symbols_per_call: ClassVar[int] = 20
    max_symbols_in_chunks: ClassVar[int] = 800
    symbols_per_info: ClassVar[int] = 100  # all symbols at once would be 15 MB

    weight_per_minute: ClassVar[int] = 6000
    max_weight: ClassVar[int] = 5400
    max_weight_of_history: ClassVar[int] = 3000  # the rest of the minute is left to live collection
    unknown_symbol_codes: ClassVar[frozenset[int]] = frozenset({-1121, -1100})  # invalid symbol; illegal characters

    # The start of the next minute once this one's share for history is spent.
    _no_history_before: datetime | None = None

    def symbol_for(self, base: str, quote: str) -> str:
        return self.own_code(base) + self.own_code(quote)

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        self.require_interval(interval_seconds)
        step = timedelta(seconds=interval_seconds)
        params: dict[str, str | int] = {
            "symbol": instrument.symbol,
            "interval": self.intervals[interval_seconds],
            "endTime": _milliseconds(time_range.end) - 1,
            "limit": self.candles_per_call,
        }
        candles: list[RawCandle] = []
        page_start, end = time_range.start, min(time_range.end, self._clock())
        while True:
            rate_limiter.acquire(self._no_history_before)
            response = self._fetch_klines(params | {"startTime": _milliseconds(page_start)})
            rows = self.parse_list(response.data, self.klines_path)
            page = parse_candles(instrument, rows, _parse_candle)
            candles += page
            # Not by the number of rows: a mirror of the API may return fewer than requested.
            last = max((candle.opened_at for candle in page), default=time_range.end)
            if not page_start <= last < end - step:
                return complete_candles(candles, interval_seconds, time_range, response.sent_at)
            page_start = last + step
            if (error := self._weight_spent(response)) is not None:
                raise error

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        size = self.symbols_per_call if len(instruments) <= self.max_symbols_in_chunks else len(instruments)
        results: list[QuoteResult] = []
        for chunk in split_into_chunks(instruments, size):
            try:
                found, error = self._fetch_chunk(chunk)
            except ExchangeError as failure:
                return build_batch(results, failure)
            results += found
            if error is not None:
                return build_batch(results, error)
        return build_batch(results)

    def fetch_trading_status(self, instruments: Sequence[Instrument]) -> Sequence[RejectedQuote]:
        """See :class:`Exchange`. One request of weight 20 for up to 100 symbols."""
        found: list[RejectedQuote] = []
        for chunk in split_into_chunks(instruments, self.symbols_per_info):
            response = self._fetch_info(chunk)
            if response.status == HTTPStatus.BAD_REQUEST:  # one of them is unknown
                known = self._fetch_symbols()
                listed = [instrument for instrument in chunk if instrument.symbol in known]
                if not listed:
                    continue
                response = self._fetch_info(listed)
            info = ExchangeInfo.try_parse(response.data)
            rows = [SymbolInfo.try_parse(row) for row in (info.symbols if info else ())]
            terms = {row.symbol: row.status for row in rows if row is not None}
            found += [
                reject_not_trading(instrument, status, terms[instrument.symbol])
                for instrument in chunk
                if instrument.symbol in terms and (status := trading_status(terms[instrument.symbol])) is not None
            ]
            if (error := self._weight_spent(response)) is not None:
                raise error
        return found

    def _fetch_info(self, instruments: Sequence[Instrument]) -> Response:
        """What Binance says about the symbols; status 400 if it doesn't list one of them, 404 if it says nothing."""
        params = {"symbols": _symbols_param(instruments)}
        return self.client.get(self.info_path, params, expected={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})

    def _fetch_klines(self, params: Mapping[str, str | int]) -> Response:
        response = self.client.get(self.klines_path, params, expected={HTTPStatus.BAD_REQUEST})
        if response.status == HTTPStatus.BAD_REQUEST:
            raise self._bad_request(response, self.klines_path, str(params["symbol"]))
        if _used_weight(response) >= self.max_weight_of_history:
            self._no_history_before = _next_minute(response.received_at)
        return response

    def _fetch_chunk(self, instruments: Sequence[Instrument]) -> tuple[list[QuoteResult], RateLimited | None]:
        """The results of one request, and the error to stop with if the minute's weight is spent."""
        response = self._fetch_tickers(instruments)
        results: list[QuoteResult] = []
        if response.status != HTTPStatus.OK:
            # One unknown symbol fails the whole request: find out which, and repeat it without them.
            known = self._fetch_symbols()
            results += [
                reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
                for instrument in instruments
                if instrument.symbol not in known
            ]
            instruments = [instrument for instrument in instruments if instrument.symbol in known]
            if not instruments:
                return results, self._weight_spent(response)
            response = self._fetch_tickers(instruments)
            if response.status != HTTPStatus.OK:
                raise ExchangeDenied(self.code, f"{self.ticker_path} rejects symbols that {self.price_path} lists")
        rows = [Ticker.try_parse(row) for row in self.parse_list(response.data, self.ticker_path)]
        tickers = {ticker.symbol: ticker for ticker in rows if ticker is not None}
        reason_if_missing = RejectionReason.MALFORMED if None in rows else RejectionReason.UNKNOWN_SYMBOL
        for instrument in instruments:
            ticker = tickers.get(instrument.symbol)
            if ticker is None:
                results.append(reject(instrument, reason_if_missing, instrument.symbol))
            else:
                results.append(_parse_quote(instrument, ticker, response.received_at))
        return results, self._weight_spent(response)

    def _fetch_tickers(self, instruments: Sequence[Instrument]) -> Response:
        """The tickers, or the response with status 400 if a symbol is unknown."""
        params = {"symbols": _symbols_param(instruments)} if len(instruments) <= self.max_symbols_in_chunks else {}
        response = self.client.get(self.ticker_path, params, expected={HTTPStatus.BAD_REQUEST})
        if response.status == HTTPStatus.BAD_REQUEST:
            error = self._bad_request(response, self.ticker_path)
            if not isinstance(error, UnknownSymbol):
                raise error
        return response

    def _fetch_symbols(self) -> set[str]:
        prices = self.parse_list(self.client.get(self.price_path).data, self.price_path)
        return {price.symbol for row in prices if (price := Price.try_parse(row)) is not None}

    def _bad_request(self, response: Response, path: str, symbol: str = "") -> ExchangeDenied:
        error = BinanceError.try_parse(response.data)
        if error is not None and error.code in self.unknown_symbol_codes:
            return UnknownSymbol(self.code, f"unknown symbol {symbol}".rstrip())
        reason = excerpt(error.msg) if error else "no reason given"
        return ExchangeDenied(self.code, f"{path} returned HTTP 400: {reason}")

    def _weight_spent(self, response: Response) -> RateLimited | None:
        """The error to stop with until the next minute, once most of this minute's weight is spent."""
        used = _used_weight(response)
        if used < self.max_weight:
            return None
        reason = f"{used} of {self.weight_per_minute} request weight used this minute"
        return rate_limited(self.code, _next_minute(response.received_at), reason)


def _parse_quote(instrument: Instrument, ticker: Ticker, received_at: datetime) -> QuoteResult:
    try:
        observed_at = from_unix(ticker.closeTime, per_second=1000)
    except ValueError:
        return reject(instrument, RejectionReason.MALFORMED, ticker.closeTime)
    return validate_quote(
        instrument,
        ticker.lastPrice,
        received_at,
        observed_at,
        volume_24h=ticker.volume,
        bid=ticker.bidPrice,
        ask=ticker.askPrice,
    )


def _parse_candle(row: object) -> RawCandle:
    kline = Kline.model_validate(row)
    prices = (kline.open, kline.high, kline.low, kline.close)
    return parse_candle(
        from_unix(kline.openTime, per_second=1000), prices, kline.volume, kline.count, kline.quoteVolume
    )


def _symbols_param(instruments: Sequence[Instrument]) -> str:
    symbols = [instrument.symbol for instrument in instruments]
    return json.dumps(symbols, separators=(",", ":"), ensure_ascii=False)


def _used_weight(response: Response) -> int:
    used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(used) if used.isascii() and used.isdigit() else 0


def _next_minute(moment: datetime) -> datetime:
    return floor_to(moment, MINUTE) + MINUTE


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
