"""The base class of the adapters that use coinwatch's HTTP client, and of the payloads they parse."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from coinwatch.clock import Clock, utc_now
from coinwatch.coin_settings import ExchangeSettings
from coinwatch.errors import ConfigurationError, ExchangeDenied, ExchangeUnavailable
from coinwatch.exchanges.excerpts import secrets_of
from coinwatch.exchanges.exchange_codes import exchange_code
from coinwatch.exchanges.http_client import HttpClient
from coinwatch.exchanges.models import Instrument, RejectedQuote
from coinwatch.formatting import format_duration
from coinwatch.settings import Settings

HISTORY_INTERVALS = (60, 3600, 86400)  # seconds; the candles coinwatch stores


class Payload(BaseModel):
    """A JSON object as the exchange sends it, with its own field names; fields not declared are ignored.

    Numbers are declared as ``object``: only :mod:`coinwatch.exchanges.validation` decides what is a valid number.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def try_parse(cls, data: object) -> Self | None:
        """The parsed payload, or None if ``data`` has another shape: one malformed row must not cost the others."""
        try:
            return cls.model_validate(data)
        except ValidationError:
            return None


class ArrayPayload(Payload):
    """A JSON array; the fields are declared in the order of its elements, further elements are ignored."""

    @model_validator(mode="before")
    @classmethod
    def _name_elements(cls, data: Any) -> Any:
        return dict(zip(cls.model_fields, data, strict=False)) if isinstance(data, list) else data


PayloadT = TypeVar("PayloadT", bound=Payload)


class Adapter:
    """Base class of an adapter; see :class:`coinwatch.exchanges.models.Exchange` for its interface.

    A subclass adds ``symbol_for``, ``fetch_quotes``, ``fetch_candles`` and the class attributes:

    - ``base_url``: the default host.
    - ``intervals``: the candle intervals the exchange offers, in seconds, with its name for each.
    - ``candles_per_call``: how many candles one request returns at most.
    - ``default_history_calls_per_second``: half of what the exchange allows, so that live collection has the rest.
    - ``default_minimum_interval_seconds``: the least time between two fetches of quotes.
    - ``table_of_codes``: its table in :mod:`coinwatch.exchanges.exchange_codes`, if it has codes of its own.
    - ``aggregator``: whether its prices and volumes are computed from several exchanges.
    """

    base_url: ClassVar[str]
    aggregator: ClassVar[bool] = False
    intervals: ClassVar[Mapping[int, object]] = {}
    candles_per_call: int = 1
    default_history_calls_per_second: ClassVar[float] = 1.0
    default_minimum_interval_seconds: ClassVar[float] = 0.0
    table_of_codes: ClassVar[str] = ""
    max_concurrent_calls: int = 4

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        self.code = code
        self.candle_intervals = tuple(seconds for seconds in HISTORY_INTERVALS if seconds in self.intervals)
        self.minimum_interval_seconds = (
            self.default_minimum_interval_seconds
            if exchange.minimum_interval_seconds is None
            else exchange.minimum_interval_seconds
        )
        self.history_calls_per_second = exchange.history_calls_per_second or self.default_history_calls_per_second
        self._settings = settings
        self._clock = clock
        key = exchange.api_key.get_secret_value() if exchange.api_key else ""
        base_url = exchange.base_url or self.base_url
        headers = self.key_headers(key, base_url)
        secrets = secrets_of(key, base_url)
        self.client = HttpClient(
            code, base_url, exchange.timeout_seconds, headers=headers, secrets=secrets, clock=clock
        )

    def key_headers(self, key: str, base_url: str) -> Mapping[str, str]:
        """The headers that carry the API key; none by default, because public market data needs no key."""
        return {}

    def own_code(self, code: str) -> str:
        """The exchange's code for a coin or currency; raises ConfigurationError if it means another one by it."""
        try:
            return exchange_code(self.table_of_codes, code)
        except ValueError as error:
            raise ConfigurationError(
                f"exchanges.{self.code}.instruments: {error}. Use the common code of the coin that you mean."
            ) from None

    def fetch_trading_status(self, instruments: Sequence[Instrument]) -> Sequence[RejectedQuote]:
        return ()

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        return None

    def require_interval(self, interval_seconds: int) -> None:
        """Raise ExchangeDenied unless the exchange offers candles of this interval."""
        if interval_seconds not in self.intervals:
            raise interval_not_offered(self.code, interval_seconds, self.intervals)

    def parse(self, kind: type[PayloadT], data: object, path: str) -> PayloadT:
        """The response of ``path`` as ``kind``; raises ExchangeUnavailable if it has another shape."""
        payload = kind.try_parse(data)
        if payload is None:
            raise self._unexpected_format(path)
        return payload

    def parse_list(self, data: object, path: str) -> list[object]:
        """The response of ``path`` as a list; raises ExchangeUnavailable if it is something else."""
        if not isinstance(data, list):
            raise self._unexpected_format(path)
        return data

    def parse_object(self, data: object, path: str) -> dict[str, object]:
        """The response of ``path`` as a JSON object; raises ExchangeUnavailable if it is something else."""
        if not isinstance(data, dict):
            raise self._unexpected_format(path)
        return data

    def close(self) -> None:
        self.client.close()

    def _unexpected_format(self, path: str) -> ExchangeUnavailable:
        return ExchangeUnavailable(self.code, f"{path} returned JSON in an unexpected format")


def interval_not_offered(exchange: str, interval_seconds: int, offered: Mapping[int, object]) -> ExchangeDenied:
    """The error for candles of an interval (seconds) that an exchange does not offer."""
    available = ", ".join(format_duration(seconds) for seconds in offered) or "none"
    wanted = format_duration(interval_seconds)
    return ExchangeDenied(exchange, f"does not offer candles of {wanted}; available: {available}")
