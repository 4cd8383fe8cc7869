"""Any exchange that ccxt knows, for those without an adapter of our own.

ccxt speaks through our guarded session, so its answers have the same deadline and size limit, and their status
(a pause asked for, a country rejected) is read the same way; ccxt's own errors decide where the status says
little. ccxt turns a last price of zero into None, which is rejected as not a number.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from coinwatch import __version__
from coinwatch.clock import Clock, utc_now
from coinwatch.errors import (
    ConfigurationError,
    ExchangeDenied,
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
    UnknownSymbol,
)
from coinwatch.exchanges.base import batch, candle_or_none, complete_candles, no_wait, one_by_one
from coinwatch.exchanges.http_client import decode_json, status_error, transport_error
from coinwatch.exchanges.http_session import GuardedSession
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.validation import reject, validate_quote
from coinwatch.settings import ExchangeSettings, Settings

PAUSE = timedelta(seconds=60)
CANDLES_PER_CALL = 500
REASON_LENGTH = 160
FOR_CCXT = {200, 400, 404, 405, 409, 410, 422}  # statuses whose body ccxt reads better than we
TIMEFRAMES: Mapping[int, str] = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h",
    21600: "6h", 43200: "12h", 86400: "1d", 604800: "1w",
}  # fmt: skip

Result = TypeVar("Result")


class CcxtAdapter:
    """The adapter; ``ccxt_id`` in the configuration names the exchange. A symbol is ccxt's: BTC/USD.

    ConfigurationError when ccxt has no such exchange.
    """

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        import ccxt  # costs over a second, so only where an exchange needs it

        self.code = code
        self.minimum_interval_seconds = exchange.minimum_interval_seconds or 0.0
        self._clock = clock
        self._key = exchange.api_key.get_secret_value() if exchange.api_key else ""
        self._session = _StatusCheckingSession(code, exchange.timeout_seconds, clock)
        self._timeout_seconds = exchange.timeout_seconds
        self._ccxt: ModuleType = ccxt
        self._venue = self._open(exchange)
        self.candle_intervals = self._offered(60, 3600, 86400)
        self.candles_per_call = CANDLES_PER_CALL - 1  # what one window goes on by
        # ccxt knows the milliseconds between two calls; half of the exchange's limit is for live collection.
        self.history_calls_per_second = exchange.history_calls_per_second or 500 / max(1, self._venue.rateLimit)
        self.max_concurrent_calls = 1  # ccxt's objects are for one thread
        self.before_history_call: Callable[[datetime | None], None] = no_wait

    def symbol_for(self, base: str, quote: str) -> str:
        return f"{base}/{quote}"

    def list_instruments(self) -> list[Instrument]:
        markets = self._call(self._venue.load_markets)
        return [
            Instrument(self.code, market["base"], market["quote"], symbol)
            for symbol, market in markets.items()
            if market.get("spot") and market.get("active") is not False
        ]

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if not instruments:
            return QuoteBatch()
        markets = self._call(self._venue.load_markets)
        known = [instrument for instrument in instruments if instrument.symbol in markets]
        unknown = [
            reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
            for instrument in instruments
            if instrument.symbol not in markets
        ]
        if not known:
            return QuoteBatch(rejected=unknown)
        if self._venue.has.get("fetchTickers"):
            fetched = self._fetch_all(known)
        else:
            fetched = one_by_one(known, self._fetch_one, threads=1)  # ccxt's objects are for one thread
        return QuoteBatch(fetched.quotes, [*unknown, *fetched.rejected], fetched.error)

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        if not self._offered(interval_seconds):
            offered = ", ".join(f"{seconds} s" for seconds in self._offered(*TIMEFRAMES)) or "none"
            raise ExchangeDenied(self.code, f"has no candles of {interval_seconds} s through ccxt, only of: {offered}")
        timeframe = TIMEFRAMES[interval_seconds]
        step = timedelta(seconds=interval_seconds)
        page_start, now = start, self._clock()
        candles: list[Candle | None] = []
        while page_start < min(end, now):
            self.before_history_call(None)
            since = round(page_start.timestamp() * 1000)
            rows = self._call(self._venue.fetch_ohlcv, instrument.symbol, timeframe, since, CANDLES_PER_CALL)
            page = [_candle(instrument, row) for row in rows]
            candles += page
            # Whether a short page means a gap or the end is not said, so go on by windows.
            last = max((candle.opened_at for candle in page if candle is not None), default=page_start)
            page_start = max(last + step, page_start + (CANDLES_PER_CALL - 1) * step)
        return complete_candles(candles, interval_seconds, start, end, now)

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        return None  # ccxt does not know

    def close(self) -> None:
        self._session.close()

    def _offered(self, *intervals: int) -> tuple[int, ...]:
        """Those of the candle lengths (seconds) that the exchange has."""
        known = (self._venue.timeframes or {}) if self._venue.has.get("fetchOHLCV") else {}
        return tuple(seconds for seconds in intervals if TIMEFRAMES.get(seconds) in known)

    def _open(self, exchange: ExchangeSettings) -> Any:
        kind = getattr(self._ccxt, exchange.ccxt_id or "", None)
        if exchange.ccxt_id not in self._ccxt.exchanges or kind is None:
            raise ConfigurationError(
                f"exchanges.{self.code}.ccxt_id: ccxt {self._ccxt.__version__} knows no exchange "
                f"{exchange.ccxt_id!r}. Its ids are listed at https://docs.ccxt.com."
            )
        options = {"timeout": round(self._timeout_seconds * 1000), "session": self._session}
        venue = kind(options | ({"apiKey": self._key} if self._key else {}))
        venue.userAgent = f"coinwatch/{__version__}"
        venue.logger.setLevel(logging.INFO)  # at DEBUG ccxt writes every answer whole
        venue.parse_ticker = _forgiving(venue.parse_ticker)
        venue.number = str  # decimals stay as the exchange wrote them until we check them
        venue.has["fetchCurrencies"] = False  # load_markets would ask for them too, and we need none
        if exchange.base_url:
            venue.urls["api"] = _rebased(venue.urls["api"], exchange.base_url, venue.hostname or "")
        return venue

    def _fetch_all(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        tickers = self._call(self._venue.fetch_tickers, [instrument.symbol for instrument in instruments])
        received_at = self._clock()
        return batch(_quote(each, tickers.get(each.symbol), received_at) for each in instruments)

    def _fetch_one(self, instrument: Instrument) -> Quote | RejectedQuote:
        try:
            ticker = self._call(self._venue.fetch_ticker, instrument.symbol)
        except UnknownSymbol:
            return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
        return _quote(instrument, ticker, self._clock())

    def _call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """ccxt's answer; whatever it raises becomes one of our errors."""
        self._session.last = None
        try:
            return method(*arguments)
        except ExchangeError:
            raise
        except self._ccxt.BaseError as error:
            raise self._ours(error) from None
        except (requests.RequestException, OSError) as error:
            raise transport_error(self.code, self._host(), error, self._timeout_seconds) from None
        except Exception as error:  # noqa: BLE001 - nonsense in a payload ends in any of Python's errors inside ccxt
            raise ExchangeUnavailable(self.code, f"ccxt cannot read its answer ({type(error).__name__})") from None

    def _ours(self, error: Exception) -> ExchangeError:
        ccxt, last = self._ccxt, self._session.last
        if isinstance(error, ccxt.BadSymbol):
            return UnknownSymbol(self.code, f"does not know the symbol ({self._reason(error)})")
        if last is None and isinstance(error.__cause__, requests.RequestException):
            return transport_error(self.code, self._host(), error.__cause__, self._timeout_seconds)
        if last is not None and last.status_code == HTTPStatus.NOT_FOUND:
            return status_error(self.code, urlsplit(last.url).path, last, self._clock())
        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            return RateLimited(self.code, f"asks for a pause ({self._reason(error)})", self._clock() + PAUSE)
        if isinstance(error, ccxt.RestrictedLocation):
            return ExchangeDenied(
                self.code,
                f"does not serve this country: run `coinwatch exchanges disable {self.code}` ({self._reason(error)})",
            )
        if isinstance(error, ccxt.AuthenticationError):
            variable = f"COINWATCH_EXCHANGES__{self.code.upper()}__API_KEY"
            return ExchangeDenied(self.code, f"rejects the API key, or wants one: check {variable}")
        if isinstance(error, ccxt.NotSupported | ccxt.BadRequest | ccxt.ArgumentsRequired | ccxt.InvalidProxySettings):
            return ExchangeDenied(self.code, f"ccxt cannot ask it for this ({self._reason(error)})")
        return ExchangeUnavailable(self.code, f"failed ({self._reason(error)})")

    def _reason(self, error: Exception) -> str:
        """ccxt's text without its line breaks, its addresses' queries and our key."""
        words = [word.partition("?")[0] if "://" in word else word for word in str(error).split()]
        text = " ".join(words)
        return (text.replace(self._key, "***") if self._key else text)[:REASON_LENGTH]

    def _host(self) -> str:
        urls = self._venue.urls["api"]
        return urls if isinstance(urls, str) else next((url for url in urls.values() if isinstance(url, str)), "")


class _StatusCheckingSession(GuardedSession):
    """Raises our errors for what ccxt reads wrongly: pauses, refusals and pages where JSON belongs.

    Other statuses, 400 and 404 above all, are left to ccxt, which knows the exchange's words for them.
    """

    def __init__(self, exchange: str, seconds: float, clock: Clock) -> None:
        super().__init__(seconds)
        self.last: requests.Response | None = None
        self._exchange = exchange
        self._clock = clock

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        self.last = None
        response = super().request(method, url, *args, **options)
        self.last = response
        path = urlsplit(str(url)).path
        if response.status_code not in FOR_CCXT:
            raise status_error(self._exchange, path, response, self._clock())
        page = response.content.lstrip()[:1] == b"<"
        if response.status_code == HTTPStatus.OK and (page or "json" in response.headers.get("Content-Type", "")):
            decode_json(self._exchange, path, response)  # ccxt would take a page's text for an empty answer
        return response


def _forgiving(parse: Callable[..., Any]) -> Callable[..., Any]:
    """ccxt's parser of one ticker, which must not fail for all when one has NaN for a number."""

    def parse_ticker(ticker: Any, market: Any = None) -> Any:
        for attempt in (ticker, _without_nonsense(ticker)):
            with suppress(Exception):
                return parse(attempt, market)
        return {"symbol": None, "info": ticker}

    return parse_ticker


def _without_nonsense(ticker: object) -> object:
    if not isinstance(ticker, dict):
        return ticker
    return {
        name: None if isinstance(value, str) and value.strip("+-").lower() in {"nan", "inf", "infinity"} else value
        for name, value in ticker.items()
    }


def _rebased(api: object, base_url: str, hostname: str) -> object:
    """ccxt's addresses with ``base_url`` in place of scheme and host; their paths stay."""
    if isinstance(api, Mapping):
        return {name: _rebased(url, base_url, hostname) for name, url in api.items()}
    return base_url + urlsplit(api.replace("{hostname}", hostname)).path if isinstance(api, str) else api


def _quote(instrument: Instrument, ticker: Any, received_at: datetime) -> Quote | RejectedQuote:
    if ticker is None:
        return reject(instrument, RejectionReason.MALFORMED, "no ticker that ccxt could read")
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


# [1763618400000, "96400", "96420", "96390", "96412", "12.3"] = [open time ms, open, high, low, close, volume in base]
def _candle(instrument: Instrument, row: object) -> Candle | None:
    fields = row if isinstance(row, list) and len(row) > 5 else [None] * 6
    return candle_or_none(instrument, lambda: from_unix(fields[0], per_second=1000), fields[1:5], fields[5])
