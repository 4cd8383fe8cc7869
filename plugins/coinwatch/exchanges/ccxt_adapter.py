"""Any exchange that ccxt supports, for those without an adapter of their own.

ccxt sends its requests through GuardedSession, so responses have the same deadline and size limit, and HTTP statuses
with a clear meaning (rate limited, blocked in this country) become the same errors; other failures are classified by
ccxt's own errors. ccxt turns a last price of zero into None, which is rejected as not a number.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from types import ModuleType
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests

from coinwatch import __version__
from coinwatch.clock import Clock, utc_now
from coinwatch.codes import code_key
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import (
    ConfigurationError,
    ExchangeDenied,
    ExchangeError,
    ExchangeUnavailable,
    UnknownSymbol,
)
from coinwatch.exchanges.base import HISTORY_INTERVALS, ArrayPayload, interval_not_offered
from coinwatch.exchanges.batching import QuoteResult, build_batch
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.concurrency import fetch_each
from coinwatch.exchanges.excerpts import excerpt, secrets_of
from coinwatch.exchanges.http_client import decode_json, rate_limited, sent_at, status_error, transport_error
from coinwatch.exchanges.http_session import GuardedSession
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

RATE_LIMIT_DELAY = timedelta(seconds=60)
MAX_CANDLES_PER_CALL = 1000
CANDLES_PER_CALL = 100  # for exchanges whose limit ccxt doesn't know: none has a lower one
MIN_GAP = timedelta(hours=1)
MAX_REASON_LENGTH = 160
# Where exchanges say why a market is inactive, and what ccxt calls inactive although orders are executed.
STATUS_FIELDS = ("status", "state", "trading", "symbolStatus", "trade_status")
LIMITED_TRADING = {"limit_only", "reduce_only"}
STATUSES_LEFT_TO_CCXT = {200, 400, 404, 405, 409, 410, 422}  # their bodies contain exchange-specific errors
TIMEFRAMES: Mapping[int, str] = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h",
    21600: "6h", 43200: "12h", 86400: "1d", 604800: "1w",
}  # fmt: skip

Result = TypeVar("Result")


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
        import ccxt  # takes over a second: import it only for exchanges that need it

        self.code = code
        self.minimum_interval_seconds = exchange.minimum_interval_seconds or 0.0
        self._clock = clock
        self._key = exchange.api_key.get_secret_value() if exchange.api_key else ""
        self._secrets = secrets_of(self._key, exchange.base_url)
        base_path = urlsplit(exchange.base_url or "").path
        self._session = _StatusCheckingSession(code, exchange.timeout_seconds, clock, base_path, self._secrets)
        self._timeout_seconds = exchange.timeout_seconds
        self._ccxt: ModuleType = ccxt
        self._client = self._open(exchange)
        self._intervals = self._offered_intervals()
        self.candles_per_call = self._page_size()
        self._shortest_gap = MIN_GAP  # at the start of a page; in a shorter one, probably nobody traded
        self.candle_intervals = tuple(seconds for seconds in HISTORY_INTERVALS if seconds in self._intervals)
        # ccxt's rateLimit is milliseconds per call; half of the exchange's limit is left to live collection.
        self.history_calls_per_second = exchange.history_calls_per_second or 500 / max(1, self._client.rateLimit)

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
        if self._client.has.get("fetchTickers"):
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
            rows = self._call(self._client.fetch_ohlcv, symbol, timeframe, since, limit)
            page = parse_candles(instrument, rows, _parse_candle)
            if self._session.last is not None:
                now = min(now, sent_at(self._session.last.headers, now))
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
        self._session.close()

    def _page_size(self) -> int:
        """The exchange's limit on candles per request, as far as ccxt knows it."""
        features = self._client.features or {}
        candles = (features.get("spot") or {}).get("fetchOHLCV") or {}
        return min(int(candles.get("limit") or CANDLES_PER_CALL), MAX_CANDLES_PER_CALL)

    def _offered_intervals(self) -> Mapping[int, str]:
        offered = (self._client.timeframes or {}) if self._client.has.get("fetchOHLCV") else {}
        return {seconds: name for seconds, name in TIMEFRAMES.items() if name in offered}

    def _open(self, exchange: ExchangeSettings) -> Any:
        kind = getattr(self._ccxt, exchange.ccxt_id or "", None)
        if exchange.ccxt_id not in self._ccxt.exchanges or kind is None:
            raise ConfigurationError(
                f"exchanges.{self.code}.ccxt_id is not an exchange that ccxt {self._ccxt.__version__} supports. "
                "See https://docs.ccxt.com for its exchange ids."
            )
        options = {"timeout": round(self._timeout_seconds * 1000), "session": self._session}
        client = kind(options | ({"apiKey": self._key} if self._key else {}))
        client.userAgent = f"coinwatch/{__version__}"
        client.logger.setLevel(logging.INFO)  # at DEBUG, ccxt logs every response in full
        client.parse_ticker = _tolerant(client.parse_ticker)
        client.number = str  # keep decimals as the exchange wrote them until they are validated
        client.has["fetchCurrencies"] = False  # load_markets would request them too
        client.options["fetchMarkets"] = _only_spot(client.options.get("fetchMarkets"))
        if exchange.base_url:
            client.urls["api"] = _rebased(client.urls["api"], exchange.base_url, client.hostname or "")
        return client

    def _load_symbols(self) -> Mapping[str, str]:
        """ccxt's symbols by their key: ccxt writes most codes in capitals, the configuration as the exchange does."""
        return {code_key(symbol): symbol for symbol in self._call(self._client.load_markets)}

    def _check_market(self, instrument: Instrument, symbol: str | None) -> RejectedQuote | None:
        """The rejection of an instrument that the exchange doesn't list or doesn't trade at present."""
        if symbol is None:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        market = self._client.markets[symbol]
        if market.get("active") is not False:  # None: ccxt doesn't know
            return None
        info = market.get("info")
        terms = [info.get(name) for name in STATUS_FIELDS] if isinstance(info, Mapping) else []
        term = next((term for term in terms if isinstance(term, str) and term), "inactive")
        if term.lower() in LIMITED_TRADING:
            return None
        return reject_not_trading(instrument, trading_status(term) or TradingStatus.HALTED, term)

    def _fetch_all(self, symbols: Mapping[Instrument, str]) -> QuoteBatch:
        tickers = self._call(self._client.fetch_tickers, list(symbols.values()))
        received_at = self._clock()
        return build_batch(_parse_quote(each, tickers.get(symbol), received_at) for each, symbol in symbols.items())

    def _fetch_one(self, instrument: Instrument, symbol: str) -> QuoteResult:
        try:
            ticker = self._call(self._client.fetch_ticker, symbol)
        except UnknownSymbol:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        return _parse_quote(instrument, ticker, self._clock())

    def _call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """The result of a ccxt method; whatever it raises becomes an ExchangeError."""
        self._session.last = None
        try:
            return method(*arguments)
        except ExchangeError:
            raise
        except self._ccxt.BaseError as error:
            raise self._convert(error) from None
        except (requests.RequestException, OSError) as error:
            raise transport_error(self.code, self._host(), error, self._timeout_seconds) from None
        except Exception as error:  # noqa: BLE001 - an invalid payload can raise anything inside ccxt
            raise ExchangeUnavailable(self.code, f"ccxt cannot parse the response ({type(error).__name__})") from None

    def _convert(self, error: Exception) -> ExchangeError:
        ccxt, last = self._ccxt, self._session.last
        if isinstance(error, ccxt.BadSymbol):
            return UnknownSymbol(self.code, f"unknown symbol ({self._reason(error)})")
        if last is None and isinstance(error.__cause__, requests.RequestException):
            return transport_error(self.code, self._host(), error.__cause__, self._timeout_seconds)
        if last is not None and last.status_code == HTTPStatus.NOT_FOUND:
            return status_error(self.code, self._session.path_of(last.url), last, self._clock(), self._secrets)
        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            return rate_limited(self.code, self._clock() + RATE_LIMIT_DELAY, self._reason(error))
        if isinstance(error, ccxt.RestrictedLocation):
            return ExchangeDenied(
                self.code,
                f"not available in this country; run `coinwatch exchanges disable {self.code}` ({self._reason(error)})",
            )
        if isinstance(error, ccxt.AuthenticationError):
            variable = f"COINWATCH_EXCHANGES__{self.code.upper()}__API_KEY"
            return ExchangeDenied(self.code, f"API key missing or invalid; check {variable}")
        if isinstance(error, ccxt.NotSupported | ccxt.BadRequest | ccxt.ArgumentsRequired | ccxt.InvalidProxySettings):
            return ExchangeDenied(self.code, f"request not supported ({self._reason(error)})")
        return ExchangeUnavailable(self.code, f"request failed ({self._reason(error)})")

    def _reason(self, error: Exception) -> str:
        return excerpt(str(error), self._secrets, MAX_REASON_LENGTH)

    def _host(self) -> str:
        urls = self._client.urls["api"]
        return urls if isinstance(urls, str) else next((url for url in urls.values() if isinstance(url, str)), "")


class _StatusCheckingSession(GuardedSession):
    """Raises an ExchangeError for responses that ccxt misreads: rate limits, denials and HTML instead of JSON.

    Other statuses, such as 400 and 404, are left to ccxt, which knows each exchange's errors.
    """

    def __init__(self, exchange: str, seconds: float, clock: Clock, base_path: str, secrets: Collection[str]) -> None:
        super().__init__(seconds)
        self.last: requests.Response | None = None
        self._exchange = exchange
        self._clock = clock
        self._base_path = base_path
        self._secrets = secrets

    def path_of(self, url: object) -> str:
        """The path below ``base_url``, which is a setting and may contain a key."""
        return urlsplit(str(url)).path.removeprefix(self._base_path)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        self.last = None
        response = super().request(method, url, *args, **options)
        self.last = response
        path = self.path_of(url)
        if response.status_code not in STATUSES_LEFT_TO_CCXT:
            raise status_error(self._exchange, path, response, self._clock(), self._secrets)
        page = response.content.lstrip()[:1] == b"<"
        if response.status_code == HTTPStatus.OK and (page or "json" in response.headers.get("Content-Type", "")):
            decode_json(self._exchange, path, response)  # ccxt would treat a page as an empty response
        return response


def _only_spot(option: object) -> object:
    """ccxt's option for the kinds of markets to load, without derivatives: each kind is another request."""
    types = option.get("types") if isinstance(option, dict) else option
    if isinstance(types, dict):
        return {**option, "types": {kind: kind == "spot" for kind in types}} if isinstance(option, dict) else option
    if isinstance(types, list):
        return {**option, "types": ["spot"]} if isinstance(option, dict) else ["spot"]
    return option


def _tolerant(parse: Callable[..., Any]) -> Callable[..., Any]:
    """ccxt's parser for one ticker, changed so that a NaN in one ticker does not fail all of them."""

    def parse_ticker(ticker: Any, market: Any = None) -> Any:
        for attempt in (ticker, _without_nan(ticker)):
            with suppress(Exception):
                return parse(attempt, market)
        return {"symbol": None, "info": ticker}

    return parse_ticker


def _without_nan(ticker: object) -> object:
    if not isinstance(ticker, dict):
        return ticker
    return {
        name: None if isinstance(value, str) and value.strip("+-").lower() in {"nan", "inf", "infinity"} else value
        for name, value in ticker.items()
    }


def _rebased(api: object, base_url: str, hostname: str) -> object:
    """ccxt's URLs with scheme and host replaced by ``base_url``."""
    if isinstance(api, Mapping):
        return {name: _rebased(url, base_url, hostname) for name, url in api.items()}
    return base_url + urlsplit(api.replace("{hostname}", hostname)).path if isinstance(api, str) else api


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
