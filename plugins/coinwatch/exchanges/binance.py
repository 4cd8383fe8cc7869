# ruff: noqa: N815 - wire structs carry Binance's own field names
"""Binance spot, by its keyless host for market data.

Source: Binance's spot API documentation, REST. Every call has a weight; an address may spend 6,000 a minute and
is told in ``X-MBX-USED-WEIGHT-1M`` how much it has spent. We stop before the limit, because going over it brings
429 and going on then brings 418, a ban of up to three days.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from coinwatch.errors import ExchangeDenied, ExchangeError, RateLimited, UnknownSymbol
from coinwatch.exchanges.base import Adapter, Wire, batch, candle_or_none, complete_candles, try_parse
from coinwatch.exchanges.http_client import Answer
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.validation import reject, validate_quote
from coinwatch.time_range import MINUTE, floor_to

TICKERS = "/api/v3/ticker/24hr"
PRICES = "/api/v3/ticker/price"
KLINES = "/api/v3/klines"
EXCHANGE_INFO = "/api/v3/exchangeInfo"

# A call for up to 20 symbols weighs 2, one for the whole market 80: batches are cheaper up to 800 symbols.
SYMBOLS_PER_CALL = 20
WHOLE_MARKET_ABOVE = 800
WEIGHT_A_MINUTE = 6000
WEIGHT_WE_SPEND = 5400
WEIGHT_FOR_HISTORY = 3000  # from here on the minute is left to live collection
UNKNOWN_SYMBOL = {-1121, -1100}  # invalid symbol; illegal characters in it
KLINES_PER_CALL = 1000
INTERVALS: Mapping[int, str] = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h",
    21600: "6h", 28800: "8h", 43200: "12h", 86400: "1d", 259200: "3d", 604800: "1w",
}  # fmt: skip


# {"symbol": "BTCUSDT", "lastPrice": "96412.53000000", "bidPrice": "96412.52000000", "askPrice": "96412.53000000",
#  "volume": "21345.67890000", "quoteVolume": "2058012345.12", "openTime": 1763532000000, "closeTime": 1763618400000}
class Ticker(Wire):
    """An element of ``/ticker/24hr``; ``volume`` is in the base currency, ``closeTime`` in milliseconds."""

    symbol: str
    lastPrice: object
    volume: object = None
    bidPrice: object = None
    askPrice: object = None
    closeTime: object


# {"symbol": "ETHBTC", "price": "0.03467000"}
class Price(Wire):
    """An element of ``/ticker/price``; the cheapest list of all symbols (weight 4)."""

    symbol: str


# {"symbol": "ETHBTC", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "BTC", "isSpotTradingAllowed": true}
class Symbol(Wire):
    """An element of ``symbols`` in ``/exchangeInfo``."""

    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str


# {"code": -1121, "msg": "Invalid symbol."}
class Rejection(Wire):
    """The body of a 400."""

    code: int
    msg: str = ""


class Binance(Adapter):
    """The adapter; a symbol is base and quote written together: BTCUSDT."""

    base_url: ClassVar[str] = "https://data-api.binance.vision"
    candle_intervals = (60, 3600, 86400)
    candles_per_call = KLINES_PER_CALL
    default_history_calls_per_second: ClassVar[float] = 25.0  # a call weighs 2

    _history_not_before: datetime | None = None  # Binance counts by minutes: when the next one begins

    def symbol_for(self, base: str, quote: str) -> str:
        return base + quote

    def list_instruments(self) -> list[Instrument]:
        info = self.table(self.client.get(EXCHANGE_INFO).data, EXCHANGE_INFO)
        symbols = [try_parse(Symbol, row) for row in self.rows(info.get("symbols"), EXCHANGE_INFO)]
        return [
            self.instrument(symbol.baseAsset, symbol.quoteAsset, symbol.symbol)
            for symbol in symbols
            if symbol is not None and symbol.status == "TRADING"
        ]

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        size = SYMBOLS_PER_CALL if len(instruments) <= WHOLE_MARKET_ABOVE else len(instruments)
        results: list[Quote | RejectedQuote] = []
        for first in range(0, len(instruments), size):
            try:
                found, pause = self._fetch_some(instruments[first : first + size])
            except ExchangeError as error:
                return batch(results, error)
            results += found
            if pause is not None:
                return batch(results, pause)
        return batch(results)

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        self.interval(INTERVALS, interval_seconds)
        candles: list[Candle | None] = []
        page_start, step = start, timedelta(seconds=interval_seconds)
        while True:
            answer = self._klines(
                {
                    "symbol": instrument.symbol,
                    "interval": INTERVALS[interval_seconds],
                    "startTime": _milliseconds(page_start),
                    "endTime": _milliseconds(end) - 1,
                    "limit": KLINES_PER_CALL,
                }
            )
            page = [_candle(instrument, row) for row in self.rows(answer.data, KLINES)]
            candles += page
            last = max((candle.opened_at for candle in page if candle is not None), default=end)
            if len(page) < KLINES_PER_CALL or not page_start <= last < end - step:
                return complete_candles(candles, interval_seconds, start, end, answer.received_at)
            page_start = last + step
            if (pause := self._pause(answer)) is not None:
                raise pause

    def _klines(self, params: Mapping[str, str | int]) -> Answer:
        self.before_history_call(self._history_not_before)
        answer = self.client.get(KLINES, params, expected={HTTPStatus.BAD_REQUEST})
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise self._rejection(answer, KLINES, str(params["symbol"]))
        if _used_weight(answer) >= WEIGHT_FOR_HISTORY:
            self._history_not_before = _next_minute(answer.received_at)
        return answer

    def _rejection(self, answer: Answer, path: str, symbol: str = "") -> ExchangeDenied:
        """What a 400 means: a symbol that Binance does not know, or something else in its own words."""
        rejection = try_parse(Rejection, answer.data)
        if rejection is not None and rejection.code in UNKNOWN_SYMBOL:
            return UnknownSymbol(self.code, f"does not know the symbol {symbol or 'that was asked for'}")
        reason = rejection.msg if rejection else "no reason given"
        return ExchangeDenied(self.code, f"rejects {path} (HTTP 400): {reason:.120}")

    def _fetch_some(self, instruments: Sequence[Instrument]) -> tuple[list[Quote | RejectedQuote], RateLimited | None]:
        """Results for one call's worth of instruments, and the pause to keep before the next call."""
        answer = self._tickers(instruments)
        rejected: list[Quote | RejectedQuote] = []
        if answer.status != HTTPStatus.OK:
            # One unknown symbol spoils the call for all: find out which, and ask again for the others.
            known = self._known_symbols()
            rejected = [
                reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
                for instrument in instruments
                if instrument.symbol not in known
            ]
            instruments = [instrument for instrument in instruments if instrument.symbol in known]
            if not instruments:
                return rejected, self._pause(answer)
            answer = self._tickers(instruments)
            if answer.status != HTTPStatus.OK:
                raise ExchangeDenied(self.code, f"{TICKERS} rejects symbols that {PRICES} lists")
        rows = [try_parse(Ticker, row) for row in self.rows(answer.data, TICKERS)]
        tickers = {ticker.symbol: ticker for ticker in rows if ticker is not None}
        broken = None in rows
        quotes = [_quote(each, tickers.get(each.symbol), answer.received_at, broken) for each in instruments]
        return rejected + quotes, self._pause(answer)

    def _tickers(self, instruments: Sequence[Instrument]) -> Answer:
        """The tickers' answer, or the 400 that says a symbol is unknown."""
        symbols = json.dumps([instrument.symbol for instrument in instruments], separators=(",", ":"))
        params = {"symbols": symbols} if len(instruments) <= WHOLE_MARKET_ABOVE else {}
        answer = self.client.get(TICKERS, params, expected={HTTPStatus.BAD_REQUEST})
        if answer.status == HTTPStatus.BAD_REQUEST:
            rejection = self._rejection(answer, TICKERS)
            if not isinstance(rejection, UnknownSymbol):
                raise rejection
        return answer

    def _known_symbols(self) -> set[str]:
        rows = [try_parse(Price, row) for row in self.rows(self.client.get(PRICES).data, PRICES)]
        return {row.symbol for row in rows if row is not None}

    def _pause(self, answer: Answer) -> RateLimited | None:
        """The pause until the minute is over, once most of its weight is spent."""
        used = _used_weight(answer)
        if used < WEIGHT_WE_SPEND:
            return None
        blocked_until = _next_minute(answer.received_at)
        return RateLimited(
            self.code,
            f"{used} of the {WEIGHT_A_MINUTE} request weight of this minute is spent; "
            f"waiting until {blocked_until:%H:%M:%S} UTC",
            blocked_until,
        )


def _quote(instrument: Instrument, ticker: Ticker | None, received_at: datetime, broken: bool) -> Quote | RejectedQuote:
    if ticker is None:
        reason = RejectionReason.MALFORMED if broken else RejectionReason.UNKNOWN_SYMBOL
        return reject(instrument, reason, instrument.symbol)
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


# [1763618400000, "96400.00", "96420.00", "96390.00", "96412.53", "12.345", 1763618459999, "1190000.0", 2040, …]
# = [open time ms, open, high, low, close, volume in base, close time, volume in quote, trades, …]
def _candle(instrument: Instrument, row: object) -> Candle | None:
    fields = row if isinstance(row, list) and len(row) > 8 else [None] * 9
    return candle_or_none(instrument, lambda: from_unix(fields[0], per_second=1000), fields[1:5], fields[5], fields[8])


def _used_weight(answer: Answer) -> int:
    used = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(used) if used.isascii() and used.isdigit() else 0


def _next_minute(moment: datetime) -> datetime:
    return floor_to(moment, MINUTE) + MINUTE


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
