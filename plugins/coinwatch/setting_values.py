"""Values that settings may have; each check raises ValueError, which says what is wrong with a value."""

import re
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, AnyHttpUrl, ValidationError

from coinwatch.addresses import domain_in_ascii, normalize_address
from coinwatch.codes import parse_code, parse_pair

# Without characters that would have to be escaped in HTML or in an email header.
ORIGIN = re.compile(r"https?://[a-z0-9._-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
BASE_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+")
# A token is appended to the local part, which may have up to 64 characters in total.
BOUNCE_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9.-]+")
# As in local/environment_file.py and docker/settings.sh, which don't import coinwatch; a test compares them.
MIN_SECRET_LENGTH = 16
EXAMPLE_SECRET = re.compile(
    r"change[-_ ]?me.*|changeit|example.*|secret|password|passwort|admin|test|todo|dummy|your[-_ ].*|my[-_ ]?secret.*"
    r"|<.*>|x{3,}|\.{3,}|replace.*|insert.*|1234.*",
    re.IGNORECASE,
)


def check_secret(secret: str) -> None:
    """Raise ValueError for an example or a short value, as local_run.sh and docker_run.sh do."""
    advice = "Set it to a random value: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if EXAMPLE_SECRET.fullmatch(secret) or "change-me" in secret.lower():
        raise ValueError(f"is an example value. {advice}")
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"has {len(secret)} characters; the minimum is {MIN_SECRET_LENGTH}. {advice}")


def _http_url(value: str) -> str:
    try:
        AnyHttpUrl(value)
    except ValidationError:  # its text contains the value
        raise ValueError("must be a URL that starts with http:// or https://") from None
    return value.rstrip("/")


def _base_url(value: str) -> str:
    value = _http_url(value)
    host = "" if value.isascii() else urlsplit(value).hostname or ""
    value = re.sub(re.escape(host), domain_in_ascii(host), value, count=1, flags=re.IGNORECASE) if host else value
    if not BASE_URL.fullmatch(value):
        raise ValueError("must be an address without a query, such as https://coinwatch.example.org")
    return value


def _bounce_address(value: str) -> str:
    value = normalize_address(value)
    if not BOUNCE_ADDRESS.fullmatch(value):
        raise ValueError("must be an address such as bounces@example.org, with up to 20 characters before the @")
    return value


def _networks(value: str) -> str:
    for network in value.split(","):
        try:
            ip_network(network.strip())
        except ValueError:
            raise ValueError(f"{network.strip()!r} is not an IP address or network, such as 10.0.0.0/8") from None
    return value


def _origins(value: str) -> str:
    origins = [origin.strip().rstrip("/").lower() for origin in value.split(",") if origin.strip()]
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin such as https://dashboard.example.org, nor *")
    return ", ".join(origins)


def _host(value: str) -> str:
    """A name or an address; an IPv6 address may be in brackets, as in a URL."""
    value = value.strip().removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", value):
        raise ValueError("must be a host name or an address, without a port")
    return value


Code = Annotated[str, AfterValidator(parse_code)]
Pair = Annotated[str, AfterValidator(parse_pair)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
BounceAddress = Annotated[str, AfterValidator(_bounce_address)]
Origins = Annotated[str, AfterValidator(_origins)]
Host = Annotated[str, AfterValidator(_host)]
Networks = Annotated[str, AfterValidator(_networks)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
