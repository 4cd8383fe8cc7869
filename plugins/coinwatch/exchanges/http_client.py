"""A JSON-over-HTTP client for one exchange, in which every failure becomes an ExchangeError."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from coinwatch.clock import Clock, utc_now
from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.excerpts import excerpt
from coinwatch.exchanges.http_session import BodyTooLarge, GuardedSession
from coinwatch.formatting import format_timestamp

# Status -> the delay without a Retry-After header, and the longest delay accepted from one. Binance bans for up to
# three days; after a 429, much more than an hour would be a broken header.
RATE_LIMIT_DELAYS: Mapping[int, tuple[timedelta, timedelta]] = {
    429: (timedelta(seconds=60), timedelta(hours=1)),
    503: (timedelta(seconds=60), timedelta(hours=1)),
    418: (timedelta(minutes=2), timedelta(days=3)),
}
SHORTEST_DELAY = timedelta(seconds=1)
# Status -> the problem and its fix, for responses that stay the same until an operator acts.
ADVICE: Mapping[int, str] = {
    401: "API key missing or invalid; check {variable}",
    403: "access denied for this IP address or API key; check {variable}, "
    "or run `coinwatch exchanges disable {exchange}`",
    404: "{path} was not found; check exchanges.{exchange}.base_url in the configuration",
    451: "not available in this country; set exchanges.{exchange}.base_url to a host that is, "
    "or run `coinwatch exchanges disable {exchange}`",
}
BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An exchange's response. ``data`` is the decoded JSON, None for an expected error without JSON.

    ``sent_at`` is the time by the exchange's clock, unless ours is behind it: what it calls a finished candle is not
    finished earlier because our clock is ahead.
    """

    status: int
    headers: Mapping[str, str]
    data: object
    received_at: datetime

    @property
    def sent_at(self) -> datetime:
        return sent_at(self.headers, self.received_at)


class HttpClient:
    """Sends GET requests to one exchange; safe to share between threads.

    Raises ExchangeUnavailable, RateLimited or ExchangeDenied and nothing else. ``secrets`` are removed from error
    messages, even if the exchange repeats them.
    """

    def __init__(
        self,
        exchange: str,
        base_url: str,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        clock: Clock = utc_now,
    ) -> None:
        self.exchange = exchange
        self.base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._secrets = [secret for secret in secrets if secret]
        self._session = GuardedSession(timeout_seconds)
        self._session.headers.update(headers or {})

    def get(self, path: str, params: Mapping[str, str | int] | None = None, expected: Collection[int] = ()) -> Response:
        """The response to ``GET base_url + path``, if its status is 200 or one of ``expected``."""
        try:
            response = self._session.get(self.base_url + path, params=params)
        except (requests.RequestException, OSError, ValueError) as error:
            raise transport_error(self.exchange, self.base_url, error, self._timeout_seconds) from None
        now = self._clock()
        if response.status_code == HTTPStatus.OK:
            return Response(HTTPStatus.OK, response.headers, decode_json(self.exchange, path, response), now)
        if response.status_code in expected:
            return Response(response.status_code, response.headers, _json_or_none(response), now)
        raise status_error(self.exchange, path, response, now, self._secrets)

    def close(self) -> None:
        self._session.close()


def decode_json(exchange: str, path: str, response: requests.Response) -> object:
    """The body as JSON; raises ExchangeUnavailable if it is an HTML page, truncated or otherwise invalid."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "no content type").split(";")[0]
        size = len(response.content)
        raise ExchangeUnavailable(exchange, f"{path} returned invalid JSON ({size} bytes of {kind:.40})") from None


def status_error(
    exchange: str, path: str, response: requests.Response, now: datetime, secrets: Collection[str] = ()
) -> ExchangeError:
    """The error for a response with a status other than 200."""
    status = response.status_code
    is_unavailable = status == HTTPStatus.SERVICE_UNAVAILABLE
    if status in RATE_LIMIT_DELAYS and (not is_unavailable or "Retry-After" in response.headers):
        until = _blocked_until(status, response.headers.get("Retry-After"), now)
        return rate_limited(exchange, until, f"HTTP {status}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}:
        return ExchangeUnavailable(exchange, f"{path} returned HTTP {status}")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = urlsplit(response.headers.get("Location", "")).hostname or "another URL"
        return ExchangeDenied(
            exchange,
            f"{path} redirects to {target:.80} (HTTP {status}); "
            f"if the API has moved, set exchanges.{exchange}.base_url in the configuration",
        )
    if status in ADVICE:
        variable = f"COINWATCH_EXCHANGES__{exchange.upper()}__API_KEY"
        advice = ADVICE[status].format(exchange=exchange, path=path, variable=variable)
        return ExchangeDenied(exchange, f"{advice} (HTTP {status})")
    # A body is text up to a few kilobytes; the rest of a larger one says no more.
    body = excerpt(response.content[:BODY_BYTES].decode("utf-8", "replace"), secrets)
    return ExchangeDenied(exchange, f"{path} returned HTTP {status}: {body or 'no reason given'}")


def rate_limited(exchange: str, until: datetime, reason: str) -> RateLimited:
    """The error for an exchange that must not be called before ``until``."""
    return RateLimited(exchange, f"rate limited until {format_timestamp(until)} ({reason})", until)


def transport_error(exchange: str, base_url: str, error: Exception, timeout_seconds: float) -> ExchangeError:
    """The error for a request that got no HTTP response."""
    host = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(error, requests.ConnectTimeout):
        return ExchangeUnavailable(exchange, f"{host} cannot be reached (connection timed out)")
    if isinstance(error, requests.Timeout):
        return ExchangeUnavailable(exchange, f"no complete response from {host} within {timeout_seconds:g} s")
    if isinstance(error, BodyTooLarge):
        return ExchangeUnavailable(exchange, f"response from {host} is too large: {error}")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ExchangeDenied(
            exchange, f"the TLS certificate of {host} is not trusted; behind a private CA, set REQUESTS_CA_BUNDLE"
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return ExchangeDenied(
            exchange, f"exchanges.{exchange}.base_url or the API key contains characters not allowed in a request"
        )
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ExchangeUnavailable(exchange, f"{host} closed the connection before the response was complete")
    return ExchangeUnavailable(exchange, f"{host} cannot be reached ({_root_cause(error)})")


def sent_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """The earlier of the response's Date and ``now``; ``now`` if it has none."""
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, TypeError):
        return now
    return min(now, date if date.tzinfo else date.replace(tzinfo=UTC))


def _blocked_until(status: int, retry_after: str | None, now: datetime) -> datetime:
    default, longest = RATE_LIMIT_DELAYS[status]
    delay = None if retry_after is None else _parse_retry_after(retry_after, now)
    if delay is None:
        delay = default
    return now.astimezone(UTC) + min(max(delay, SHORTEST_DELAY), longest)


def _parse_retry_after(retry_after: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    text = retry_after.strip()
    try:
        if text.isascii() and text.isdigit():
            return timedelta(seconds=int(text))
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except OverflowError:
        return timedelta.max
    except (ValueError, TypeError):
        return None


def _json_or_none(response: requests.Response) -> object:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def _root_cause(error: BaseException) -> str:
    """The innermost error in a few words: requests wraps urllib3, which wraps the operating system's error."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        nested = [part for part in (*cause.args, getattr(cause, "reason", None)) if isinstance(part, BaseException)]
        cause = nested[0] if nested else cause.__cause__ or cause.__context__
    return type(error).__name__
