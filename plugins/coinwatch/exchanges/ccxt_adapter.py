"""Any exchange that ccxt supports, for those without an adapter of their own.

ccxt turns a last price of zero into None, which is rejected as not a number.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from coinwatch.clock import Clock, utc_now
from coinwatch.codes import code_key
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import UnknownSymbol
from coinwatch.exchanges.base import HISTORY_INTERVALS, ArrayPayload, interval_not_offered
from coinwatch.exchanges.batching import QuoteResult, build_batch
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.ccxt_client import CcxtClient
from coinwatch.exchanges.concurrency import fetch_each
from coinwatch.exchanges.models import (
    NO_RATE_LIMIT,
    Instrument,
    QuoteBatch,
    RateLimiter,
    RawCandle,
    RejectedQuote,
    RejectionReason,
    TradingStatus,
)
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.trading_status import reject_not_trading, trading_status
from coinwatch.exchanges.validation import parse_candle, reject, validate_quote
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, ceil_to

MAX_CANDLES_PER_CALL = 1000
CANDLES_PER_CALL = 100  # for exchanges whose limit ccxt doesn't know: none has a lower one
MIN_GAP = timedelta(hours=1)
# Where exchanges say why a market is inactive, and what ccxt calls inactive although orders are executed.
STATUS_FIELDS = ("status", "state", "trading", "symbolStatus", "trade_status")
LIMITED_TRADING = {"limit_only", "reduce_only"}
TIMEFRAMES: Mapping[int, str] = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h",
    21600: "6h", 43200: "12h", 86400: "1d", 604800: "1w",
}  # fmt: skip


# [[1763618400000, "96400", "96420", "96390", "96412", "12.3"], ...]
class Ohlcv(ArrayPayload):
    """A row of ccxt's ``fetch_ohlcv``; ``timestamp`` is the opening time in milliseconds, ``volume`` is in base."""

    timestamp: object
    open: object
    high: object
    low: object
    close: object
    volume: object


class CcxtAdapter:
    """The adapter; ``ccxt_id`` in the configuration names the exchange. A symbol is ccxt's: BTC/USD.

    Raises ConfigurationError if ccxt does not support the exchange.
    """

    aggregator: ClassVar[bool] = False
    max_concurrent_calls = 1  # ccxt's objects are not thread-safe

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        self.code = code
        self.minimum_interval_seconds = exchange.minimum_interval_seconds or 0.0
        self._clock = clock
        self._client = CcxtClient(code, exchange, clock)
        self._ccxt = self._client.ccxt
        self._intervals = self._offered_intervals()
        self.candles_per_call = self._page_size()
        self._shortest_gap = MIN_GAP  # at the start of a page; in a shorter one, probably nobody traded
        self.candle_intervals = tuple(seconds for seconds in HISTORY_INTERVALS if seconds in self._intervals)
        # ccxt's rateLimit is milliseconds per call; half of the exchange's limit is left to live collection.
        self.history_calls_per_second = exchange.history_calls_per_second or 500 / max(1, self._ccxt.rateLimit)

    def symbol_for(self, base: str, quote: str) -> str:
        return f"{base}/{quote}"

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if not instruments:
            return QuoteBatch()
        symbols = self._load_symbols()
        listed = {each: symbol for each in instruments if (symbol := symbols.get(code_key(each.symbol)))}
        rejected = [each for each in (self._check_market(each, listed.get(each)) for each in instruments) if each]
        left_out = {each.symbol for each in rejected}
        traded = {each: symbol for each, symbol in listed.items() if each.symbol not in left_out}
        if not traded:
            return QuoteBatch(rejected=rejected)
        if self._ccxt.has.get("fetchTickers"):
            fetched = self._fetch_all(traded)
        else:
            fetched = fetch_each(
                list(traded), lambda each: self._fetch_one(each, traded[each]), threads=self.max_concurrent_calls
            )
        return QuoteBatch(fetched.quotes, [*rejected, *fetched.rejected], fetched.error)

    def fetch_trading_status(self, instruments: Sequence[Instrument]) -> Sequence[RejectedQuote]:
        return ()  # fetch_quotes loads the markets, which say it

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        if interval_seconds not in self._intervals:
            raise interval_not_offered(self.code, interval_seconds, self._intervals)
        timeframe = self._intervals[interval_seconds]
        step = timedelta(seconds=interval_seconds)
        symbol = self._load_symbols().get(code_key(instrument.symbol))
        if symbol is None:
            raise UnknownSymbol(self.code, f"unknown symbol {instrument.symbol}")
        now = self._clock()
        page_start, end = ceil_to(time_range.start, step), min(time_range.end, now)

        def fetch_page(start: datetime, stop: datetime) -> list[RawCandle]:
            nonlocal now
            rate_limiter.acquire()
            since, limit = round(start.timestamp() * 1000), min(self.candles_per_call, -(-(stop - start) // step))
            rows = self._client.call(self._ccxt.fetch_ohlcv, symbol, timeframe, since, limit)
            page = parse_candles(instrument, rows, _parse_candle)
            now = min(now, self._client.sent_at(now))
            return [candle for candle in page if start <= candle.opened_at < stop]

        candles: list[RawCandle] = []
        while page_start < end:
            page = fetch_page(page_start, end)
            candles += page
            if not page:  # no trades, or the end of the data: continue after what was requested
                page_start += self.candles_per_call * step
                continue
            # Exchanges that return less than requested keep either the oldest candles: continue after the last one; or
            # the newest: request what is missing before the first one, before it counts as unavailable.
            first, last = (pick(candle.opened_at for candle in page) for pick in (min, max))
            while first - page_start >= max(self._shortest_gap, step) and (earlier := fetch_page(page_start, first)):
                candles += earlier
                first = min(candle.opened_at for candle in earlier)
                self._shortest_gap = step  # it does keep the newest
            page_start = last + step
        return complete_candles(candles, interval_seconds, time_range, now)

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        return None  # ccxt does not say

    def close(self) -> None:
        self._client.close()

    def _page_size(self) -> int:
        """The exchange's limit on candles per request, as far as ccxt knows it."""
        features = self._ccxt.features or {}
        candles = (features.get("spot") or {}).get("fetchOHLCV") or {}
        return min(int(candles.get("limit") or CANDLES_PER_CALL), MAX_CANDLES_PER_CALL)

    def _offered_intervals(self) -> Mapping[int, str]:
        offered = (self._ccxt.timeframes or {}) if self._ccxt.has.get("fetchOHLCV") else {}
        return {seconds: name for seconds, name in TIMEFRAMES.items() if name in offered}

    def _load_symbols(self) -> Mapping[str, str]:
        """ccxt's symbols by their key: ccxt writes most codes in capitals, the configuration as the exchange does."""
        return {code_key(symbol): symbol for symbol in self._client.call(self._ccxt.load_markets)}

    def _check_market(self, instrument: Instrument, symbol: str | None) -> RejectedQuote | None:
        """The rejection of an instrument that the exchange doesn't list or doesn't trade at present."""
        if symbol is None:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        market = self._ccxt.markets[symbol]
        if market.get("active") is not False:  # None: ccxt doesn't know
            return None
        info = market.get("info")
        terms = [info.get(name) for name in STATUS_FIELDS] if isinstance(info, Mapping) else []
        term = next((term for term in terms if isinstance(term, str) and term), "inactive")
        if term.lower() in LIMITED_TRADING:
            return None
        return reject_not_trading(instrument, trading_status(term) or TradingStatus.HALTED, term)

    def _fetch_all(self, symbols: Mapping[Instrument, str]) -> QuoteBatch:
        tickers = self._client.call(self._ccxt.fetch_tickers, list(symbols.values()))
        received_at = self._clock()
        return build_batch(_parse_quote(each, tickers.get(symbol), received_at) for each, symbol in symbols.items())

    def _fetch_one(self, instrument: Instrument, symbol: str) -> QuoteResult:
        try:
            ticker = self._client.call(self._ccxt.fetch_ticker, symbol)
        except UnknownSymbol:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        return _parse_quote(instrument, ticker, self._clock())


def _parse_quote(instrument: Instrument, ticker: Any, received_at: datetime) -> QuoteResult:
    if ticker is None:
        return reject(instrument, RejectionReason.MALFORMED, "no ticker that ccxt could parse")
    try:
        milliseconds = ticker.get("timestamp")
        observed_at = from_unix(milliseconds, per_second=1000) if milliseconds is not None else received_at
    except ValueError:
        return reject(instrument, RejectionReason.MALFORMED, ticker.get("timestamp"))
    return validate_quote(
        instrument,
        ticker.get("last"),
        received_at,
        observed_at,
        volume_24h=ticker.get("baseVolume"),
        bid=ticker.get("bid"),
        ask=ticker.get("ask"),
    )


def _parse_candle(row: object) -> RawCandle:
    ohlcv = Ohlcv.model_validate(row)
    prices = (ohlcv.open, ohlcv.high, ohlcv.low, ohlcv.close)
    return parse_candle(from_unix(ohlcv.timestamp, per_second=1000), prices, ohlcv.volume)
