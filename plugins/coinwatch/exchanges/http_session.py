"""A requests session with a deadline for the whole response and a limit on its size.

The read timeout of requests restarts with every byte, so a server that sends one byte a second could occupy a task
forever. Here a timer shuts down the connection at the deadline, however much has arrived by then.
"""

import socket
import threading
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from coinwatch import __version__

CONNECT_SECONDS = 5.0
BODY_LIMIT_BYTES = 32 * 1024 * 1024  # Binance's list of all instruments is about 15 MB
CHUNK_BYTES = 64 * 1024
CONNECTIONS = 8


class BodyTooLarge(requests.RequestException):
    """The body exceeds the limit."""


class GuardedSession(requests.Session):
    """Returns complete responses within ``seconds`` and up to ``body_limit`` bytes, or raises an error of requests.

    It follows no redirects and keeps no cookies, so a response always comes from the requested host and threads may
    share the session.
    """

    def __init__(self, seconds: float, body_limit: int = BODY_LIMIT_BYTES) -> None:
        super().__init__()
        self._seconds = seconds
        self._body_limit = body_limit
        self.headers.update({"User-Agent": f"coinwatch/{__version__}", "Accept": "application/json"})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.auth = _send_unchanged  # otherwise requests reads .netrc before each request
        self._environments: dict[str, Any] = {}
        adapter = _WatchedAdapter(pool_maxsize=CONNECTIONS)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Like requests, but the body has been read when this returns. Raises ReadTimeout at the deadline."""
        options |= {
            "stream": True,
            "allow_redirects": False,
            "timeout": (min(CONNECT_SECONDS, self._seconds), self._seconds),
        }
        with _Deadline(self._seconds) as deadline:
            try:
                response = super().request(method, url, *args, **options)
                response._content = self._read(response)
            except (requests.RequestException, OSError):
                if deadline.passed:
                    raise requests.ReadTimeout(f"no complete response within {self._seconds:g} s") from None
                raise
            if deadline.passed:  # a body without Content-Length appears to end where it was shut down
                raise requests.ReadTimeout(f"no complete response within {self._seconds:g} s")
        return response

    def merge_environment_settings(self, url: Any, *arguments: Any) -> Any:
        """Like requests, but reads proxies and certificates from the environment once per host: for a small response
        that costs as much as the request itself. Requests to this machine never use a proxy."""
        parts = urlsplit(str(url))
        if parts.netloc not in self._environments:
            environment = dict(super().merge_environment_settings(url, *arguments))
            if _is_loopback(parts.hostname or ""):
                environment["proxies"] = {}
            self._environments[parts.netloc] = environment
        return dict(self._environments[parts.netloc])

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        with response:
            for chunk in response.iter_content(CHUNK_BYTES):
                body += chunk
                if len(body) > self._body_limit:
                    raise BodyTooLarge(f"more than {self._body_limit} bytes")
        return bytes(body)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _send_unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


Pools = TypeVar("Pools", bound=PoolManager)

_current = threading.local()


class _Deadline:
    """Shuts down the connection of this thread's request when the time is up."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # from here on, the connection may serve another request
            self._over = True
        _current.deadline = None
        self._timer.cancel()

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self.passed:
                self._shut()

    def _end(self) -> None:
        with self._lock:
            if not self._over:
                self.passed = True
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # The plain socket's shutdown, even for TLS: it wakes the reader without touching the TLS state.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _watch(connection: HTTPConnection) -> None:
    """Keep the socket, not the connection: the connection drops its socket if the body ends with the connection."""
    deadline: _Deadline | None = getattr(_current, "deadline", None)
    if deadline is not None and connection.sock is not None:
        deadline.watch(connection.sock)


class _WatchedConnection(HTTPConnection):
    def request(self, *args: Any, **options: Any) -> None:
        super().request(*args, **options)
        _watch(self)


class _WatchedTlsConnection(HTTPSConnection):
    def request(self, *args: Any, **options: Any) -> None:
        super().request(*args, **options)
        _watch(self)


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


class _WatchedAdapter(HTTPAdapter):
    """Creates connections that register with the deadline, with or without a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager = _watched(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **options)
        return _watched(manager)


def _watched(pools: Pools) -> Pools:
    pools.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
    return pools
