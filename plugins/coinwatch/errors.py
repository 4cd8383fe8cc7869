"""Every error coinwatch raises on purpose, named by the reaction it needs.

    CoinwatchError
    ├── ConfigurationError         a setting is wrong: fix it and start again
    ├── DatabaseError              Postgres cannot be reached or is not migrated
    │   └── QueryTimeout            Postgres broke a statement off at its time limit: ask for less, or later
    ├── StorageError               a file, folder or bucket cannot be read or written
    ├── ExchangeError              one exchange gave no usable answer; the others go on
    │   ├── ExchangeUnavailable               time-out, 5xx, cut-off or nonsensical body: another try may work at once
    │   ├── RateLimited             the exchange asked for a pause: nobody calls it before ``blocked_until``
    │   └── ExchangeDenied             blocked by country, bad key, unknown route: a person has to change something
    │       └── UnknownSymbol      the exchange does not trade this instrument; the others are not concerned
    ├── EmailError
    │   ├── TemporaryEmailError     4xx, connection lost: the outbox tries this message again
    │   │   └── MailServerUnavailable     no connection, login or sender refused: no message gets through now
    │   └── PermanentEmailError     5xx: this message will never be accepted
    │       ├── RecipientRejected     5xx to the recipient: nothing will ever be accepted there
    │       └── ChannelRemoved        the person's other channel was taken away: the message is dropped
    └── RequestError               a person asked for something we cannot do; the message is for them
        ├── InvalidRequest         the input is wrong; ``field`` says which
        │   └── TooManySubscriptions   the address has as many as anybody may have
        ├── NotFound               no such coin, exchange or subscription
        └── AlreadyExists          the same subscription is there already

No error of a library below us (requests, psycopg, smtplib) leaves the room that calls it.
"""

from datetime import datetime


class CoinwatchError(Exception):
    """Parent of all errors raised on purpose; its text is a sentence for a person."""


class ConfigurationError(CoinwatchError):
    """A setting is missing or wrong; the text names it."""


class DatabaseError(CoinwatchError):
    """Postgres cannot be reached, refuses us, or lacks our tables."""


class QueryTimeout(DatabaseError):
    """Postgres broke a statement off, because of its time limit or by hand; nothing was changed."""


class StorageError(CoinwatchError):
    """A file, folder or bucket cannot be read or written; the text names it."""


class ExchangeError(CoinwatchError):
    """An exchange gave no usable answer.

    ``exchange`` is its code, ``reason`` the sentence without it.
    """

    def __init__(self, exchange: str, reason: str) -> None:
        super().__init__(f"{exchange}: {reason}")
        self.exchange = exchange
        self.reason = reason


class ExchangeUnavailable(ExchangeError):
    """Passing trouble: the same call may work at once."""


class RateLimited(ExchangeError):
    """The exchange wants a pause; no worker calls it before ``blocked_until`` (aware, UTC)."""

    def __init__(self, exchange: str, reason: str, blocked_until: datetime) -> None:
        super().__init__(exchange, reason)
        self.blocked_until = blocked_until


class ExchangeDenied(ExchangeError):
    """Repeating the call cannot help; a person has to change a setting."""


class UnknownSymbol(ExchangeDenied):
    """The exchange does not trade an instrument that was asked for; the others are not concerned."""


class EmailError(CoinwatchError):
    """The mail server did not take a message; the text holds its answer."""


class TemporaryEmailError(EmailError):
    """Worth another try later: 4xx, or the connection was lost on the way."""


class MailServerUnavailable(TemporaryEmailError):
    """No message gets through at the moment; trying the others makes no sense either."""


class PermanentEmailError(EmailError):
    """Never going to be accepted: 5xx."""


class RecipientRejected(PermanentEmailError):
    """The server will take no mail to this recipient: 5xx to RCPT."""


class ChannelRemoved(PermanentEmailError):
    """There is no other channel (any more) on which the message could go."""


class RequestError(CoinwatchError):
    """A person asked for something we cannot do."""


class InvalidRequest(RequestError):
    """The input is wrong; ``field`` names the form field or parameter."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TooManySubscriptions(InvalidRequest):
    """An address has as many living subscriptions as anybody may have it given."""


class NotFound(RequestError):
    """What was asked for does not exist; the text says what does."""


class AlreadyExists(RequestError):
    """The same thing is there already."""
