"""ccxt's client of one exchange: opened without its pitfalls, and called with our errors.

ccxt sends its requests through GuardedSession, so responses have the same deadline and size limit, and HTTP statuses
with a clear meaning (rate limited, blocked in this country) become the same errors; other failures are classified by
ccxt's own errors.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from coinwatch import __version__
from coinwatch.clock import Clock
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import (
    ConfigurationError,
    ExchangeDenied,
    ExchangeError,
    ExchangeUnavailable,
    UnknownSymbol,
)
from coinwatch.exchanges.excerpts import excerpt, secrets_of
from coinwatch.exchanges.http_client import decode_json, rate_limited, sent_at, status_error, transport_error
from coinwatch.exchanges.http_session import GuardedSession

RATE_LIMIT_DELAY = timedelta(seconds=60)
MAX_REASON_LENGTH = 160
STATUSES_LEFT_TO_CCXT = {200, 400, 404, 405, 409, 410, 422}  # their bodies contain exchange-specific errors

Result = TypeVar("Result")


class CcxtClient:
    """A client whose methods are called through ``call``; ``ccxt`` is ccxt's object for the exchange.

    Raises ConfigurationError if ccxt does not support the exchange.
    """

    def __init__(self, code: str, exchange: ExchangeSettings, clock: Clock) -> None:
        import ccxt  # takes over a second: import it only for exchanges that need it

        self._library: ModuleType = ccxt
        self.code = code
        self._clock = clock
        self._key = exchange.api_key.get_secret_value() if exchange.api_key else ""
        self._secrets = secrets_of(self._key, exchange.base_url)
        self._timeout_seconds = exchange.timeout_seconds
        base_path = urlsplit(exchange.base_url or "").path
        self._session = _StatusCheckingSession(code, exchange.timeout_seconds, clock, base_path, self._secrets)
        self.ccxt = self._open(exchange)

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """The result of a ccxt method; whatever it raises becomes an ExchangeError."""
        self._session.last = None
        try:
            return method(*arguments)
        except ExchangeError:
            raise
        except self._library.BaseError as error:
            raise self._convert(error) from None
        except (requests.RequestException, OSError) as error:
            raise transport_error(self.code, self._host(), error, self._timeout_seconds) from None
        except Exception as error:  # noqa: BLE001 - an invalid payload can raise anything inside ccxt
            raise ExchangeUnavailable(self.code, f"ccxt cannot parse the response ({type(error).__name__})") from None

    def sent_at(self, now: datetime) -> datetime:
        """When the exchange sent its last response, by its own clock; ``now`` if it does not say."""
        return sent_at(self._session.last.headers, now) if self._session.last is not None else now

    def close(self) -> None:
        self._session.close()

    def _open(self, exchange: ExchangeSettings) -> Any:
        kind = getattr(self._library, exchange.ccxt_id or "", None)
        if exchange.ccxt_id not in self._library.exchanges or kind is None:
            raise ConfigurationError(
                f"exchanges.{self.code}.ccxt_id is not an exchange that ccxt {self._library.__version__} supports. "
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

    def _convert(self, error: Exception) -> ExchangeError:
        ccxt, last = self._library, self._session.last
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
        urls = self.ccxt.urls["api"]
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
