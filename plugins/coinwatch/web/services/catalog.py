"""The exchanges, coins and instruments that the API lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.prices.unknown_names import check_names


@dataclass(frozen=True, slots=True)
class ListedExchange:
    """An exchange, or the index.

    ``instruments`` is the number of watched ones. ``failures`` counts consecutive failed fetches; the index has none,
    and no ``last_success_at``.
    """

    code: str
    name: str
    enabled: bool
    simulated: bool
    instruments: int
    last_success_at: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class ListedCoin:
    """A watched coin, with the codes of the exchanges (and index) and the currencies it has prices in."""

    code: str
    name: str
    exchanges: list[str]
    quotes: list[str]


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """A pair on an exchange. ``symbol`` is the exchange's own name; ``watched``: its prices are fetched now."""

    exchange: str
    base: str
    coin_name: str
    quote: str
    symbol: str
    watched: bool
    last_price_at: datetime | None


def list_exchanges(engine: Engine) -> list[ListedExchange]:
    """All exchanges, the index first."""
    with transaction(engine) as connection:
        return fetch_rows(connection, "web/catalog/select_exchanges", {}, ListedExchange)


def list_coins(engine: Engine) -> list[ListedCoin]:
    """All watched coins, in configured order."""
    with transaction(engine) as connection:
        return fetch_rows(connection, "web/catalog/select_coins", {}, ListedCoin)


def list_instruments(
    engine: Engine,
    *,
    limit: int,
    after: Sequence[str] | None = None,
    coin: str | None = None,
    exchange: str | None = None,
) -> list[ListedInstrument]:
    """At most ``limit`` instruments after the one with exchange, base and quote ``after``, in this order.

    Raises NotFound for an unknown coin or exchange.
    """
    after_exchange, after_base, after_quote = after or (None, None, None)
    parameters = {
        "limit": limit,
        "coin": coin and coin.strip(),
        "exchange": exchange and exchange.strip(),
        "after_exchange": after_exchange,
        "after_base": after_base,
        "after_quote": after_quote,
    }
    with transaction(engine) as connection:
        found = fetch_rows(connection, "web/catalog/select_instruments", parameters, ListedInstrument)
        if not found and after is None:
            check_names(connection, coin, exchange)
        return found
