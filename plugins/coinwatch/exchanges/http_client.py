"""Asking an exchange: JSON over HTTP, where everything that can go wrong becomes one of our three errors."""

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
from coinwatch.exchanges.http_session import BodyTooLarge, GuardedSession

# How long to keep away when the exchange does not say, and the longest wish we believe: Binance bans for at
# most three days, a mere 429 for much longer than an hour would be a broken header.
PAUSES: Mapping[int, tuple[timedelta, timedelta]] = {
    429: (timedelta(seconds=60), timedelta(hours=1)),
    503: (timedelta(seconds=60), timedelta(hours=1)),
    418: (timedelta(minutes=2), timedelta(days=3)),
}
# What a person can do about an answer that will not change by itself.
ADVICE: Mapping[int, str] = {
    401: "rejects the API key, or wants one: check {variable}",
    403: "rejects this address or this API key: check {variable}, or run `coinwatch exchanges disable {exchange}`",
    404: "has no {path}: check exchanges.{exchange}.base_url",
    451: "does not serve this country: set exchanges.{exchange}.base_url to a host that does, "
    "or run `coinwatch exchanges disable {exchange}`",
}
SHORTEST_PAUSE = timedelta(seconds=1)
EXCERPT_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exchange said. ``data`` is the decoded JSON, None for an expected error without JSON."""

    status: int
    headers: Mapping[str, str]
    data: object
    received_at: datetime


class Client:
    """GET requests to one exchange; safe to share between threads.

    Raises ExchangeUnavailable, RateLimited or ExchangeDenied and nothing else. ``secrets`` never appear in an error's text, even
    if the exchange repeats them.
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

    def get(self, path: str, params: Mapping[str, str | int] | None = None, expected: Collection[int] = ()) -> Answer:
        """The answer to ``GET base_url + path``: one with status 200, or one of ``expected``."""
        try:
            response = self._session.get(self.base_url + path, params=params)
        except (requests.RequestException, OSError, ValueError) as error:
            raise transport_error(self.exchange, self.base_url, error, self._timeout_seconds) from None
        now = self._clock()
        if response.status_code == HTTPStatus.OK:
            return Answer(HTTPStatus.OK, response.headers, decode_json(self.exchange, path, response), now)
        if response.status_code in expected:
            return Answer(response.status_code, response.headers, _json_or_none(response), now)
        raise status_error(self.exchange, path, response, now, self._secrets)

    def close(self) -> None:
        self._session.close()


def decode_json(exchange: str, path: str, response: requests.Response) -> object:
    """The body as JSON; ExchangeUnavailable when it is a page, cut off or otherwise unreadable."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "no content type").split(";")[0]
        size = len(response.content)
        raise ExchangeUnavailable(
            exchange, f"{path} answered {size} bytes of {kind:.40} that are not complete JSON"
        ) from None


def status_error(
    exchange: str, path: str, response: requests.Response, now: datetime, secrets: Collection[str] = ()
) -> ExchangeError:
    """The error that a response other than 200 stands for, by the reaction it needs."""
    status = response.status_code
    busy = status == HTTPStatus.SERVICE_UNAVAILABLE
    if status in PAUSES and (not busy or "Retry-After" in response.headers):
        blocked_until = _not_before(status, response.headers.get("Retry-After"), now)
        return RateLimited(
            exchange, f"asks for a pause until {blocked_until:%Y-%m-%d %H:%M:%S} UTC (HTTP {status})", blocked_until
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}:
        return ExchangeUnavailable(exchange, f"{path} failed on its side (HTTP {status})")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = urlsplit(response.headers.get("Location", "")).hostname or "another address"
        return ExchangeDenied(
            exchange, f"sends us on to {target:.80} (HTTP {status}). Set exchanges.{exchange}.base_url if it has moved"
        )
    if status in ADVICE:
        variable = f"COINWATCH_EXCHANGES__{exchange.upper()}__API_KEY"
        advice = ADVICE[status].format(exchange=exchange, path=path, variable=variable)
        return ExchangeDenied(exchange, f"{advice} (HTTP {status})")
    return ExchangeDenied(exchange, f"rejects {path} (HTTP {status}): {_excerpt(response, secrets)}")


def transport_error(exchange: str, base_url: str, error: Exception, seconds: float) -> ExchangeError:
    """The error that a failure below HTTP stands for."""
    host = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(error, requests.ConnectTimeout):
        return ExchangeUnavailable(exchange, f"{host} does not accept connections in time")
    if isinstance(error, requests.Timeout):
        return ExchangeUnavailable(exchange, f"{host} gave no complete answer within {seconds:g} s")
    if isinstance(error, BodyTooLarge):
        return ExchangeUnavailable(exchange, f"{host} sent too much: {error}")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ExchangeDenied(
            exchange, f"the TLS certificate of {host} is not trusted. Behind a private CA set REQUESTS_CA_BUNDLE"
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return ExchangeDenied(exchange, f"exchanges.{exchange}.base_url or its API key cannot be used in a request")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return ExchangeUnavailable(exchange, f"{host} cut its answer off")
    return ExchangeUnavailable(exchange, f"{host} cannot be reached ({_cause(error)})")


def _not_before(status: int, retry_after: str | None, now: datetime) -> datetime:
    usual, longest = PAUSES[status]
    pause = usual if retry_after is None else _pause(retry_after, now)
    if pause is None:
        pause = usual
    return now.astimezone(UTC) + min(max(pause, SHORTEST_PAUSE), longest)


def _pause(retry_after: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); None when it is neither."""
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


def _excerpt(response: requests.Response, secrets: Collection[str]) -> str:
    text = response.content[:2000].decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT_LENGTH] or "no reason given"


def _cause(error: BaseException) -> str:
    """The innermost reason in a few words: requests wraps urllib3, which wraps the operating system's error."""
    seen: set[int] = set()
    reason: BaseException | None = error
    while reason is not None and id(reason) not in seen:
        seen.add(id(reason))
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror
        nested = [part for part in (*reason.args, getattr(reason, "reason", None)) if isinstance(part, BaseException)]
        reason = nested[0] if nested else reason.__cause__ or reason.__context__
    return type(error).__name__
