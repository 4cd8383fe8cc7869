"""Exceptions raised by coinwatch, grouped by the reaction they need.

* CoinwatchError
  * ConfigurationError           a setting is invalid or missing
  * DatabaseError                Postgres is unavailable, read-only or not migrated
    * QueryTimeout               a query was canceled, usually by a time limit
  * StorageError                 a file, folder or bucket can't be read or written
  * ExchangeError                one exchange failed; the others are not affected
    * ExchangeUnavailable        timeout, 5xx, incomplete or invalid response: may be retried at once
    * RateLimited                the exchange asked us to wait until ``blocked_until``
    * ExchangeDenied             blocked country, invalid key, unknown route: someone has to change a setting
      * UnknownSymbol            the exchange doesn't trade one instrument; the others are not affected
  * EmailError
    * TemporaryEmailError        4xx or a lost connection: the outbox retries this email
      * SendingRateExceeded      we are too fast: after a pause of seconds the server accepts the same email
      * SenderRejected           the reply is about our sender, host, relay access or policy: the email waits
      * MailServerUnavailable    can't connect or log in, or the daily quota is reached: no email can be sent
    * PermanentEmailError        5xx: this email is never accepted
      * RecipientRejected        5xx with a code about the mailbox: the address is suppressed
      * ChannelRemoved           the subscriber removed the channel: the message is dropped
  * RequestError                 a caller asked for something that isn't possible; the message is for them
    * InvalidRequest             the input is invalid; ``fields`` says which, and why
      * InvalidFields            several fields are invalid
      * TooManySubscriptions     the address has reached the maximum number of subscriptions
    * NotFound                   no such coin, exchange, subscription or subscriber
    * AlreadyExists              an equal subscription exists

The text of each is a complete message without secrets. Exceptions of third-party libraries (requests, psycopg,
smtplib) are translated where the library is called.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime


class CoinwatchError(Exception):
    """Base class of all exceptions that coinwatch raises. Its text is a message for people."""


class ConfigurationError(CoinwatchError):
    """A setting is missing or invalid; the message names it."""


class DatabaseError(CoinwatchError):
    """Postgres is unavailable, denies access, rejects a value or has not been migrated."""


class QueryTimeout(DatabaseError):
    """Postgres canceled a query because of a time limit or on request. Nothing was changed."""


class StorageError(CoinwatchError):
    """A file, folder or bucket can't be read or written; the message names it."""


class ExchangeError(CoinwatchError):
    """An exchange failed. ``exchange`` is its code, ``reason`` the message without the code."""

    def __init__(self, exchange: str, reason: str) -> None:
        super().__init__(f"{exchange}: {reason}")
        self.exchange = exchange
        self.reason = reason


class ExchangeUnavailable(ExchangeError):
    """A temporary failure: the same call may succeed when retried."""


class RateLimited(ExchangeError):
    """The exchange asked us to wait. It is not called before ``blocked_until`` (aware, UTC)."""

    def __init__(self, exchange: str, reason: str, blocked_until: datetime) -> None:
        super().__init__(exchange, reason)
        self.blocked_until = blocked_until


class ExchangeDenied(ExchangeError):
    """The exchange denies the call. Retrying doesn't help; someone has to change a setting."""


class UnknownSymbol(ExchangeDenied):
    """The exchange doesn't trade the requested instrument. Other instruments are not affected."""


class EmailError(CoinwatchError):
    """The mail server didn't accept an email; the message contains its reply."""


class TemporaryEmailError(EmailError):
    """The email may be accepted later: 4xx, or the connection was lost."""


class SendingRateExceeded(TemporaryEmailError):
    """We send faster than the mail server accepts; after a pause of seconds it may accept the same email."""


class SenderRejected(TemporaryEmailError):
    """The mail server rejected an email because of our configuration, which someone has to change."""


class MailServerUnavailable(TemporaryEmailError):
    """No email can be sent at the moment, so trying the others is pointless."""


class PermanentEmailError(EmailError):
    """The email will never be accepted: 5xx."""


class RecipientRejected(PermanentEmailError):
    """The mail server says that the mailbox doesn't exist or is disabled: 5xx with a code such as 5.1.1."""


class ChannelRemoved(PermanentEmailError):
    """The channel that a message was queued for has been removed."""


class RequestError(CoinwatchError):
    """A caller asked for something that isn't possible."""


class InvalidRequest(RequestError):
    """The input is invalid. ``field`` names the form field, parameter or option; empty for the request as a whole."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    @property
    def fields(self) -> Mapping[str, str]:
        """The message of every invalid field, by its name."""
        return {self.field: str(self)}


class InvalidFields(InvalidRequest):
    """Several fields are invalid, so that a caller can fix all of them at once. ``field`` is the first one."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(next(iter(fields)), " ".join(fields.values()))
        self._fields = dict(fields)

    @property
    def fields(self) -> Mapping[str, str]:
        return self._fields


class TooManySubscriptions(InvalidRequest):
    """An address has reached the maximum number of subscriptions."""


class NotFound(RequestError):
    """The requested object doesn't exist; the message says what does, where that helps."""


class AlreadyExists(RequestError):
    """An equal object already exists."""


class Problems:
    """Collects what is wrong with a request, so that all of it is reported at once."""

    def __init__(self) -> None:
        self._errors: list[tuple[str, RequestError]] = []

    @contextmanager
    def collecting(self, field: str = "") -> Iterator[None]:
        """Keep a RequestError instead of raising it. ``field`` is where one that names no field itself is reported."""
        try:
            yield
        except RequestError as error:
            self._errors.append((field, error))

    def raise_any(self) -> None:
        """Raise the error, or InvalidFields for several. The first message for a field counts."""
        if len(self._errors) == 1:
            raise self._errors[0][1]
        fields: dict[str, str] = {}
        for field, error in self._errors:
            for name, message in (error.fields if isinstance(error, InvalidRequest) else {field: str(error)}).items():
                fields.setdefault(name, message)
        if fields:
            raise InvalidFields(fields)
