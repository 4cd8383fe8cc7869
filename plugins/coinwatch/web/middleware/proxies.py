"""Who sent a request and to which path, with or without reverse proxies in between."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """Sets the client and the scheme of a request from X-Forwarded-For and X-Forwarded-Proto of trusted proxies.

    Each proxy appends the address that called it, and a client can send the header with any content. Therefore the
    client is the last address that is not a trusted proxy's. Other headers (Forwarded, X-Real-IP, X-Forwarded-Host) are
    ignored, because a proxy that does not set them passes on those of the client.
    """

    def __init__(self, app: ASGIApp, *, networks: Callable[[], Sequence[Network]]) -> None:
        self.app = app
        self.networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = parse_address(scope["client"][0]) if scope.get("client") else None
        if scope["type"] == "http" and peer is not None:
            networks, headers = self.networks(), Headers(scope=scope)
            client, scheme = peer, scope.get("scheme", "http")
            if _is_trusted(peer, networks):
                client = find_client(peer, headers.getlist("x-forwarded-for"), networks)
                forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
                scheme = forwarded if forwarded in {"http", "https"} else scheme
            scope = {**scope, "client": (str(client), scope["client"][1]), "scheme": scheme}
        await self.app(scope, receive, send)


def find_client(peer: Address, forwarded_for: Iterable[str], networks: Sequence[Network]) -> Address:
    """The address of the client, given the trusted proxy that called us and its X-Forwarded-For headers.

    Anything but an address (``unknown``, an identifier) ends the search at the proxy that sent it.
    """
    client = peer
    for entry in reversed(",".join(forwarded_for).split(",")):
        address = parse_address(entry)
        if address is None:
            break
        client = address
        if not _is_trusted(client, networks):
            break
    return client


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """The IP address in ``192.0.2.1``, ``192.0.2.1:4711``, ``[2001:db8::1]:4711`` and the like; None if there is none.

    An IPv4-mapped IPv6 address (``::ffff:192.0.2.1``), as a socket for both reports IPv4 clients, is the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def _is_trusted(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


class PublicPath:
    """Lets the app be reached below a path, whether or not the proxy in front of it strips that path.

    ``prefix`` returns the path of COINWATCH_PUBLIC_URL ('' for none); None keeps the path at which Airflow mounts the
    app. Duplicate and trailing slashes, as proxies and email programs add them, are dropped.
    """

    def __init__(self, app: ASGIApp, *, prefix: Callable[[], str] | None) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "") if self.prefix is None else self.prefix()
            path = re.sub("/{2,}", "/", scope["path"]) if "//" in scope["path"] else scope["path"]
            inner = path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path
            scope = {**scope, "root_path": root, "path": f"{root}/{inner.strip('/')}"}
        await self.app(scope, receive, send)
