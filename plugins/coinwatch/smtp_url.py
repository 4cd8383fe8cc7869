"""COINWATCH_SMTP_URL: the mail server, how to encrypt the connection and how to log in."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from coinwatch.addresses import domain_in_ascii
from coinwatch.errors import ConfigurationError

DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%\w+)?")
EXAMPLES = "smtp://user:password@host:587, smtps://user:password@host or smtp://host:1025?tls=none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that emails are sent to.

    ``tls`` is ``starttls`` (required, not merely used if offered), ``implicit`` (from the first byte), or ``none`` for
    a mail catcher. ``ehlo`` is the name we introduce ourselves with, if it is not this machine's.
    """

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    user: str | None = None
    password: str | None = None
    ehlo: str | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> MailServer:
    """Parse ``smtp://user:password@host:587``, ``smtps://…`` or ``smtp://host:1025?tls=none``.

    User and password are percent-encoded UTF-8. Raises ConfigurationError, which contains neither.
    """
    scheme = url.strip().partition("://")[0].lower()
    if "://" not in url or scheme not in DEFAULT_PORTS:
        raise _invalid("must start with smtp:// or smtps://")
    try:
        parts = urlsplit(url.strip())
        host, port = domain_in_ascii(parts.hostname or ""), parts.port
        user, password = (unquote(text or "", errors="strict") for text in (parts.username, parts.password))
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except UnicodeDecodeError as error:
        encoded = "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end])
        raise _invalid(f"contains {encoded}, which is not UTF-8; %C3%A4 is ä") from None
    except ValueError:
        raise _invalid(
            "is not a URL; in user and password, write %23 for #, %2F for /, %3F for ? and %25 for %"
        ) from None
    if parts.fragment or parts.path.strip("/") or not (HOST.fullmatch(host) or IPV6.fullmatch(host)):
        raise _invalid("has no valid host; in user and password, write %23 for #, %2F for /, %3F for ? and %25 for %")
    if unknown := options.keys() - {"tls", "ehlo"}:
        raise _invalid(f"has an unknown option {min(unknown)}; there are tls and ehlo")
    tls = options.get("tls", "implicit" if scheme == "smtps" else "starttls")
    if tls not in {"starttls", "implicit", "none"}:
        raise _invalid(f"has tls={tls}; it must be starttls, implicit or none")
    if port == 0:
        raise _invalid("has the port 0")
    ehlo = options.get("ehlo")
    if ehlo is not None and not HOST.fullmatch(ehlo):
        raise _invalid("has an option ehlo that is not a host name")
    if user and tls == "none":
        raise ConfigurationError(
            "COINWATCH_SMTP_URL would send a password without TLS; remove tls=none or the password."
        )
    return MailServer(host, port or DEFAULT_PORTS[scheme], tls, user or None, password or None, ehlo)  # type: ignore[arg-type]


def _invalid(problem: str) -> ConfigurationError:
    return ConfigurationError(f"COINWATCH_SMTP_URL {problem}. It must look like {EXAMPLES}.")
