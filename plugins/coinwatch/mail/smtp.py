"""One connection to the mail server, with its answers sorted into try again and never."""

import smtplib
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from coinwatch.errors import AddressRefused, ConfigurationError, MailServerAway, PermanentMailError, TemporaryMailError
from coinwatch.mail.messages import Mail

TIMEOUT_SECONDS = 15  # well within a sender's lease
DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
PERMANENT = range(500, 600)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes. ``tls``: ``starttls`` is demanded, ``implicit`` from the first byte, ``none`` for a catcher."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    user: str | None = None
    password: str | None = None


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


class MailConnection:
    """A connection that is opened on first use and reused for every message.

    ``send`` raises MailServerAway, TemporaryMailError or PermanentMailError, nothing else. After a lost connection
    the next message opens a new one.
    """

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (smtplib.SMTPException, OSError):
                self._smtp.close()
            self._smtp = None

    def send(self, mail: Mail) -> None:
        smtp = self._open()
        try:
            smtp.sendmail(mail.sender, [mail.recipient], mail.data)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            self._reset()
            refusal = _sorted(code, text)
            raise (AddressRefused(str(refusal)) if isinstance(refusal, PermanentMailError) else refusal) from error
        except smtplib.SMTPSenderRefused as error:
            # Our address, so a setting to mend: no reason to give up what is in the outbox.
            self._reset()
            refused = f"{error.smtp_code} {_text(error.smtp_error)}"
            raise MailServerAway(f"{self._name} refuses our sender, check COINWATCH_MAIL_FROM: {refused}") from error
        except smtplib.SMTPResponseException as error:
            self._reset()
            raise _sorted(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            self._reset()
            raise PermanentMailError(str(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            # Perhaps because of this very message, so it counts as a try; if the server is gone, the next one says so.
            raise TemporaryMailError(f"the connection to {self._name} was lost: {error}") from error

    @property
    def _name(self) -> str:
        return f"{self._server.host}:{self._server.port}"

    def _open(self) -> smtplib.SMTP:
        if self._smtp is not None:
            return self._smtp
        server = self._server
        try:
            if server.tls == "implicit":
                context = ssl.create_default_context()
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    server.host, server.port, _greeting_name(), timeout=TIMEOUT_SECONDS, context=context
                )
            else:
                smtp = smtplib.SMTP(server.host, server.port, _greeting_name(), timeout=TIMEOUT_SECONDS)
            if server.tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, server.password or "")
        except smtplib.SMTPNotSupportedError as error:
            raise MailServerAway(
                f"{self._name} offers no STARTTLS or no login ({error}). "
                "For a catcher on this machine add ?tls=none to COINWATCH_SMTP_URL."
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            raise MailServerAway(
                f"{self._name} refuses our login: check COINWATCH_SMTP_URL ({_text(error.smtp_error)})"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailServerAway(f"{self._name} cannot be reached: {error}") from error
        self._smtp = smtp
        return smtp

    def _reset(self) -> None:
        """Ready for the next message after a refusal."""
        if self._smtp is None:
            return
        try:
            self._smtp.rset()
        except (smtplib.SMTPException, OSError):
            self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _greeting_name() -> str:
    """Our name for EHLO. smtplib would ask DNS for a longer one, which takes seconds where DNS is out of reach."""
    name = socket.gethostname()
    return name if name.isascii() and name else "localhost"


def _sorted(code: int, text: bytes | str) -> TemporaryMailError | PermanentMailError:
    kind = PermanentMailError if code in PERMANENT else TemporaryMailError
    return kind(f"{code} {_text(text)}")


def _text(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
