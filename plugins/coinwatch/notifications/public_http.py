"""HTTPS requests to addresses that strangers enter (SSRF protection).

Such an address must not reach what only this machine can reach: other services on it, its network, or the metadata
service of a cloud. Therefore every IP address that the host name resolves to has to be public, the connection is made
to exactly one of those addresses (a second lookup could give another), and redirects are not followed. Proxies from the
environment are not used, because they would do their own lookup.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from coinwatch.errors import InvalidRequest, TemporaryEmailError

MAX_URL = 2000
MAX_RESPONSE_BYTES = 1024  # read and thrown away, so that the connection ends orderly
CONNECT_SECONDS = 5.0
# Public according to the standard library, but a gateway translates them to an IPv4 address, which may be private.
TRANSLATED = [ipaddress.ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


def check_url(url: str, *, allow_private: bool = False) -> str:
    """Return a URL to which a message may be sent, as far as that is known without looking up its host.

    Raises InvalidRequest, whose message doesn't repeat the URL: it may contain a secret.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidRequest("url", "This is not a valid URL.") from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest("url", f"The URL may have up to {MAX_URL:,} ASCII characters, without spaces.")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InvalidRequest("url", "The URL must start with https://.")
    if not parts.hostname:
        raise InvalidRequest("url", "The URL has no host name.")
    if parts.username or parts.password:
        raise InvalidRequest("url", "The URL must not contain a user name or password. Verify the signature instead.")
    if parts.port == 0:
        raise InvalidRequest("url", "The URL has the port 0, which doesn't exist.")
    literal = _literal(parts.hostname)
    if not allow_private and (
        (literal is not None and not is_public(literal)) or (literal is None and "." not in parts.hostname.rstrip("."))
    ):
        raise InvalidRequest("url", "The URL must lead to a public address, not to one in a private network.")
    return url


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, allow_private: bool = False) -> int:
    """Send a POST request and return the status of the response; redirects are not followed.

    Raises TemporaryEmailError if there is no response within ``seconds``, or the host has an address that is not
    public; its message contains no part of the URL except the host's name.
    """
    parts = urlsplit(url)
    watchdog = _Watchdog(seconds)
    try:
        connection = _connect(parts, seconds, allow_private, watchdog)
        try:
            path = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
            connection.request("POST", path, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            response.read(MAX_RESPONSE_BYTES)
        finally:
            connection.close()
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        reason = "timeout" if watchdog.fired else _reason(error)
        raise TemporaryEmailError(f"no response from {parts.hostname}: {reason}") from None
    finally:
        watchdog.cancel()
    return response.status


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an IP address is one of a host on the internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in TRANSLATED) or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


class _Watchdog:
    """Ends a connection after ``seconds``: a timeout of a socket only limits each read, not all of them together."""

    def __init__(self, seconds: float) -> None:
        self.fired = False
        self._watched: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: socket.socket) -> None:
        self._watched = connection

    def cancel(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.fired = True
        if self._watched is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._watched, socket.SHUT_RDWR)  # without the goodbye of TLS


def _connect(
    parts: SplitResult, seconds: float, allow_private: bool, watchdog: _Watchdog
) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise OSError("its address is not public")
    connected = socket.create_connection((str(addresses[0]), port), timeout=min(CONNECT_SECONDS, seconds))
    watchdog.watch(connected)
    if parts.scheme != "https":
        connection = http.client.HTTPConnection(host, port)
    else:
        connection = http.client.HTTPSConnection(host, port)
        context = ssl.create_default_context()
        connected = context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
        watchdog.watch(connected)
        try:
            connected.do_handshake()
        except BaseException:
            connected.close()
            raise
    connection.sock = connected
    return connection


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a host name is, however it is written (``0x7f.1`` is 127.0.0.1); None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except OSError:
        return None


def _reason(error: Exception) -> str:
    """What went wrong, without the URL."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
