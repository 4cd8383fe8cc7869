"""A requests session that no server can hold on to: one deadline for the whole answer, one limit for its size.

requests' own read time-out starts anew with every byte, so a server that sends a byte a second keeps a task
for ever. Here a timer shuts the connection when the time is over, wherever the answer stands by then.
"""

import socket
import threading
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from coinwatch import __version__

CONNECT_SECONDS = 5.0
BODY_LIMIT_BYTES = 32 * 1024 * 1024  # Binance's list of all instruments has some 15 MB
CHUNK_BYTES = 64 * 1024
CONNECTIONS = 8


class BodyTooLarge(requests.RequestException):
    """The body went on past the limit."""


class GuardedSession(requests.Session):
    """Answers arrive complete within ``seconds`` and ``body_limit`` bytes, or requests' errors are raised.

    Redirects are not followed and cookies not kept: an answer comes from the host that was asked, and threads
    may share the session.
    """

    def __init__(self, seconds: float, body_limit: int = BODY_LIMIT_BYTES) -> None:
        super().__init__()
        self._seconds = seconds
        self._body_limit = body_limit
        self.headers.update({"User-Agent": f"coinwatch/{__version__}", "Accept": "application/json"})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.auth = _send_as_it_is  # otherwise requests looks for a .netrc before each request
        self._environments: dict[str, Any] = {}
        adapter = _WatchedAdapter(pool_maxsize=CONNECTIONS)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """As in requests; the body is read when this returns. ReadTimeout when the deadline passes."""
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
                    raise requests.ReadTimeout(f"no complete answer within {self._seconds:g} s") from None
                raise
            if deadline.passed:  # a body without a stated length seems to end where it was shut
                raise requests.ReadTimeout(f"no complete answer within {self._seconds:g} s")
        return response

    def merge_environment_settings(self, url: Any, *arguments: Any) -> Any:
        """As in requests, but proxies and certificates of the environment are looked up once per host: for a small
        answer that costs as much as the request itself."""
        host = urlsplit(str(url)).netloc
        if host not in self._environments:
            self._environments[host] = super().merge_environment_settings(url, *arguments)
        return dict(self._environments[host])

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        with response:
            for chunk in response.iter_content(CHUNK_BYTES):
                body += chunk
                if len(body) > self._body_limit:
                    raise BodyTooLarge(f"the answer is larger than {self._body_limit} bytes")
        return bytes(body)


def _send_as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


Pools = TypeVar("Pools", bound=PoolManager)

_under_way = threading.local()


class _Deadline:
    """Shuts the connection that this thread's request uses when the time is over."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        _under_way.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # from here on the connection may serve another request
            self._over = True
        _under_way.deadline = None
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
                # The plain socket's shutdown also for TLS: it wakes the reader and touches no TLS state.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _watch(connection: HTTPConnection) -> None:
    """The socket is kept, not the connection: that lets go of it once the headers say the body ends with it."""
    deadline: _Deadline | None = getattr(_under_way, "deadline", None)
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
    """Hands out connections that tell the deadline about themselves, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager = _watched(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **options)
        return _watched(manager)


def _watched(pools: Pools) -> Pools:
    pools.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
    return pools
