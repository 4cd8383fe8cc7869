"""The coins, exchanges and currencies to choose from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from coinwatch.codes import code_key, compose
from coinwatch.database import fetch_rows, statement, transaction


@dataclass(frozen=True, slots=True)
class Market:
    """One exchange (or the index) that has prices of a coin in one currency."""

    exchange: str
    exchange_name: str
    base: str
    coin_name: str
    quote: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """Tracked coins (name by code), exchanges (name by code, without the index) and currencies, sorted by name.

    ``combinations`` has the currencies by coin and exchange; the empty name is the index. ``demo``: all prices are
    simulated.
    """

    coins: dict[str, str]
    exchanges: dict[str, str]
    quotes: dict[str, str]
    combinations: dict[str, dict[str, list[str]]]
    demo: bool

    def find_coin(self, text: str) -> str:
        """The coin whose code or name is ``text``, ignoring case; empty if there is none."""
        return _find(text, {spelling: code for code, name in self.coins.items() for spelling in (name, code)})

    def find_quote(self, text: str) -> str:
        """The currency whose code is ``text``, ignoring case; empty if there is none."""
        return _find(text, self.quotes)

    @property
    def combinations_json(self) -> str:
        """The combinations for the form's script."""
        return json.dumps(self.combinations)


def watched_choices(engine: Engine) -> Choices:
    """All tracked coins, exchanges and currencies, and which of them can be combined."""
    markets = watched_markets(engine)
    exchanges = {market.exchange: market.exchange_name for market in markets if market.exchange != "index"}
    combinations: dict[str, dict[str, list[str]]] = {}
    for market in markets:
        exchange = "" if market.exchange == "index" else market.exchange
        combinations.setdefault(market.base, {}).setdefault(exchange, []).append(market.quote)
    return Choices(
        coins=_sorted_by_name({market.base: market.coin_name for market in markets}),
        exchanges=_sorted_by_name(exchanges),
        quotes=_sorted_by_name({market.quote: market.quote for market in markets}),
        combinations=combinations,
        demo=bool(markets) and all(market.simulated for market in markets),
    )


def watched_markets(engine: Engine, coin: str | None = None) -> list[Market]:
    """All markets, or those of one coin (code or name): by coin, the index first."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("web/select_markets"), {"coin": coin and compose(coin)}).mappings()
        return [Market(**row) for row in rows]


def known_markets(engine: Engine) -> list[Market]:
    """All configured markets, also those of exchanges that are switched off: by coin; never the index."""
    with transaction(engine) as connection:
        return fetch_rows(connection, "web/select_known_markets", {}, Market)


def _find(text: str, codes: Mapping[str, str]) -> str:
    wanted = code_key(text)
    return next((code for spelling, code in codes.items() if code_key(spelling) == wanted), "")


def _sorted_by_name(names: dict[str, str]) -> dict[str, str]:
    return dict(sorted(names.items(), key=lambda item: item[1].lower()))
