"""Connecting to the mail server, with TLS and login."""

import hmac
import smtplib
import socket
import ssl
from base64 import b64encode, decodebytes
from collections.abc import Callable

from coinwatch.errors import MailServerUnavailable
from coinwatch.mail.replies import advice_before_recipient, parse_reply
from coinwatch.smtp_url import MailServer, parse_smtp_url

__all__ = ["MailServer", "connect", "parse_smtp_url"]

TIMEOUT_SECONDS = 15
MAX_CHALLENGES = 5
TLS_ERRORS = (ssl.SSLError, ConnectionResetError)


def connect(server: MailServer) -> smtplib.SMTP:
    """Connect, start TLS and log in as ``server`` says. Raises MailServerUnavailable."""
    smtp: smtplib.SMTP | None = None
    name = server.ehlo or _greeting_name()
    try:
        if server.tls == "implicit":
            context = ssl.create_default_context()
            smtp = _EncryptedSmtp(server.host, server.port, name, timeout=TIMEOUT_SECONDS, context=context)
        else:
            smtp = _Smtp(server.host, server.port, name, timeout=TIMEOUT_SECONDS)
        if server.tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if server.user:
            smtp.login(server.user, server.password or "")
        smtp.ehlo_or_helo_if_needed()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if smtp is not None:
            smtp.close()
        cause = getattr(smtp, "rejected_login", None) or error
        raise MailServerUnavailable(_reason(server, cause, greeted=smtp is not None)) from error
    return smtp


def _reason(server: MailServer, error: Exception, *, greeted: bool) -> str:
    """Why connecting failed, and what to do about it."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return (
            f"{server} does not offer STARTTLS or a login ({error}). "
            "For a mail catcher on this machine, add ?tls=none to COINWATCH_SMTP_URL."
        )
    if isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600:
        return _rejection(server, error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{server} has an untrusted certificate ({error.verify_message}). Use the certificate's host name in "
            "COINWATCH_SMTP_URL; for your own certificate authority, set SSL_CERT_FILE."
        )
    if server.tls == "implicit" and not greeted and (isinstance(error, TLS_ERRORS) or "handshake" in str(error)):
        problem = getattr(error, "reason", None) or error
        return f"{server} does not start with TLS ({problem}): use smtp:// instead of smtps:// for STARTTLS."
    if server.tls != "implicit" and not greeted and isinstance(error, smtplib.SMTPException):
        return f"{server} does not greet us ({error}): if this port starts with TLS, use smtps:// instead of smtp://."
    return f"cannot connect to {server}: {error}"


def _rejection(server: MailServer, error: smtplib.SMTPResponseException) -> str:
    raw: bytes | str = error.smtp_error
    reply = parse_reply(error.smtp_code, raw if isinstance(raw, bytes) else raw.encode())
    if isinstance(error, smtplib.SMTPAuthenticationError) and reply.code >= 500:
        return f"{server} rejects our login, check COINWATCH_SMTP_URL: {reply}"
    return f"{server} {advice_before_recipient(reply)}: {reply}"


def _greeting_name() -> str:
    """Our name for EHLO. smtplib would look up a longer one, which takes seconds if DNS is unreachable."""
    name = socket.gethostname()
    return name if name.isascii() and name else "localhost"


class _Utf8Login:
    """Logs in with UTF-8 (RFC 4616); smtplib encodes user and password as ASCII and fails for others.

    ``rejected_login`` is the last rejection: some servers then close the connection, while ``login`` tries the next
    mechanism.
    """

    rejected_login: smtplib.SMTPAuthenticationError | None = None

    user: str
    password: str
    docmd: Callable[..., tuple[int, bytes]]

    def auth(
        self, mechanism: str, authobject: Callable[..., str | None], *, initial_response_ok: bool = True
    ) -> tuple[int, bytes]:
        """As smtplib's, which ``login`` calls for each mechanism that the server offers."""
        first = authobject() if initial_response_ok else None
        arguments = mechanism.upper() if first is None else f"{mechanism.upper()} {_base64(first)}"
        code, reply = self.docmd("AUTH", arguments)
        # As in smtplib, auth_login counts the challenges: it answers the second one with the password.
        self._auth_challenge_count = 0 if first is None else 1
        while code == 334 and self._auth_challenge_count <= MAX_CHALLENGES:
            self._auth_challenge_count += 1
            code, reply = self.docmd(_base64(authobject(decodebytes(reply)) or ""))
        if code in {235, 503}:
            return code, reply
        self.rejected_login = smtplib.SMTPAuthenticationError(code, reply)
        raise self.rejected_login

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:
        """The response to a challenge, which contains no password."""
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"


class _Smtp(_Utf8Login, smtplib.SMTP):  # type: ignore[misc]
    """A connection that is encrypted by STARTTLS or not at all."""


class _EncryptedSmtp(_Utf8Login, smtplib.SMTP_SSL):  # type: ignore[misc]
    """A connection that starts with TLS."""


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
