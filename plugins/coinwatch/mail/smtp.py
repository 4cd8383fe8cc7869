"""The mail server: where it is, and a greeted connection to it, with TLS and login."""

import smtplib
import socket
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from coinwatch.errors import ConfigurationError, MailServerUnavailable

TIMEOUT_SECONDS = 15
DEFAULT_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes. ``tls``: ``starttls`` is demanded, ``implicit`` from the first byte, ``none`` for a catcher."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> MailServer:
    """A MailServer from ``smtp://user:password@host:587``, ``smtps://…`` or ``smtp://host:1025?tls=none``."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    tls = parse_qs(parts.query).get("tls", ["implicit" if parts.scheme == "smtps" else "starttls"])[0]
    if (
        parts.scheme not in DEFAULT_PORTS
        or not parts.hostname
        or not port
        or tls not in {"starttls", "implicit", "none"}
    ):
        raise ConfigurationError(
            "COINWATCH_SMTP_URL does not read like smtp://user:password@host:587, smtps://user:password@host "
            "or smtp://host:1025?tls=none."
        )
    if parts.username and tls == "none":
        raise ConfigurationError(
            "COINWATCH_SMTP_URL would send a password without TLS; leave out tls=none or the password."
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return MailServer(parts.hostname, port, tls, user, password)  # type: ignore[arg-type]


def connect(server: MailServer) -> smtplib.SMTP:
    """A connection that is greeted, encrypted and logged in as ``server`` says. Raises MailServerUnavailable."""
    smtp: smtplib.SMTP | None = None
    try:
        if server.tls == "implicit":
            context = ssl.create_default_context()
            smtp = smtplib.SMTP_SSL(
                server.host, server.port, _greeting_name(), timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, _greeting_name(), timeout=TIMEOUT_SECONDS)
        if server.tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if server.user:
            smtp.login(server.user, server.password or "")
        smtp.ehlo_or_helo_if_needed()
    except (smtplib.SMTPException, OSError) as error:
        if smtp is not None:
            smtp.close()
        raise MailServerUnavailable(_reason(server, error)) from error
    return smtp


def _reason(server: MailServer, error: Exception) -> str:
    """Why there is no connection, and what to do."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return (
            f"{server} offers no STARTTLS or no login ({error}). "
            "For a catcher on this machine add ?tls=none to COINWATCH_SMTP_URL."
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        answer = error.smtp_error
        said = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        return f"{server} refuses our login: check COINWATCH_SMTP_URL ({said})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{server} shows a certificate that is not to be trusted ({error.verify_message}). Write the name it is "
            "made out to in COINWATCH_SMTP_URL; for an authority of your own set SSL_CERT_FILE."
        )
    if isinstance(error, ssl.SSLError) and server.tls == "implicit":
        return f"{server} does not begin with TLS ({error.reason}): write smtp:// instead of smtps:// for STARTTLS."
    return f"{server} cannot be reached: {error}"


def _greeting_name() -> str:
    """Our name for EHLO. smtplib would ask DNS for a longer one, which takes seconds where DNS is out of reach."""
    name = socket.gethostname()
    return name if name.isascii() and name else "localhost"
