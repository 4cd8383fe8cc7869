"""The mail server: parsing COINWATCH_SMTP_URL, and connecting with TLS and login."""

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
    """The server that emails are sent to.

    ``tls`` is ``starttls`` (required, not merely used if offered), ``implicit`` (from the first byte), or ``none`` for
    a mail catcher.
    """

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> MailServer:
    """Parse ``smtp://user:password@host:587``, ``smtps://…`` or ``smtp://host:1025?tls=none``.

    Raises ConfigurationError, without the password.
    """
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
            "COINWATCH_SMTP_URL must look like smtp://user:password@host:587, smtps://user:password@host "
            "or smtp://host:1025?tls=none."
        )
    if parts.username and tls == "none":
        raise ConfigurationError(
            "COINWATCH_SMTP_URL would send a password without TLS; remove tls=none or the password."
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return MailServer(parts.hostname, port, tls, user, password)  # type: ignore[arg-type]


def connect(server: MailServer) -> smtplib.SMTP:
    """Connect, start TLS and log in as ``server`` says. Raises MailServerUnavailable."""
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
    """Why connecting failed, and what to do about it."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return (
            f"{server} does not offer STARTTLS or a login ({error}). "
            "For a mail catcher on this machine, add ?tls=none to COINWATCH_SMTP_URL."
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        reply = error.smtp_error
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        return f"{server} rejects our login, check COINWATCH_SMTP_URL: {text}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{server} has an untrusted certificate ({error.verify_message}). Use the certificate's host name in "
            "COINWATCH_SMTP_URL; for your own certificate authority, set SSL_CERT_FILE."
        )
    if isinstance(error, ssl.SSLError) and server.tls == "implicit":
        return f"{server} does not start with TLS ({error.reason}): use smtp:// instead of smtps:// for STARTTLS."
    return f"cannot connect to {server}: {error}"


def _greeting_name() -> str:
    """Our name for EHLO. smtplib would look up a longer one, which takes seconds if DNS is unreachable."""
    name = socket.gethostname()
    return name if name.isascii() and name else "localhost"
