"""The coins and exchanges a person can choose from."""

import json
from dataclasses import dataclass

from sqlalchemy import Engine

from coinwatch.database import statement, transaction


@dataclass(frozen=True, slots=True)
class Choices:
    """Watched coins (code to name), exchanges (code to name, the index left out) and currencies, sorted for people.

    ``where`` says which go together: currencies by coin and exchange, the index as the empty name.
    """

    coins: dict[str, str]
    exchanges: dict[str, str]
    quotes: dict[str, str]
    where: dict[str, dict[str, list[str]]]

    @property
    def as_json(self) -> str:
        """What goes together, for the form's script."""
        return json.dumps(self.where)


@dataclass(frozen=True, slots=True)
class Market:
    """One place where a coin is priced."""

    exchange: str
    exchange_name: str
    base: str
    coin_name: str
    quote: str


def watched_choices(engine: Engine) -> Choices:
    markets = watched_markets(engine)
    exchanges = {market.exchange: market.exchange_name for market in markets if market.exchange != "index"}
    where: dict[str, dict[str, list[str]]] = {}
    for market in markets:
        exchange = "" if market.exchange == "index" else market.exchange
        where.setdefault(market.base, {}).setdefault(exchange, []).append(market.quote)
    return Choices(
        coins=_by_name({market.base: market.coin_name for market in markets}),
        exchanges=_by_name(exchanges),
        quotes=_by_name({market.quote: market.quote for market in markets}),
        where=where,
    )


def watched_markets(engine: Engine, coin: str | None = None) -> list[Market]:
    """Everything watched, or one coin's (code or name) markets: by coin, the index first."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("web/markets"), {"coin": coin}).mappings()
        return [Market(**row) for row in rows]


def _by_name(names: dict[str, str]) -> dict[str, str]:
    return dict(sorted(names.items(), key=lambda item: item[1].lower()))
