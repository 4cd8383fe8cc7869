"""The coins and exchanges a person can choose from."""

from dataclasses import dataclass

from sqlalchemy import Engine

from coinwatch.database import statement, transaction


@dataclass(frozen=True, slots=True)
class Choices:
    """Watched coins (code to name) and exchanges (code to name, the index left out), both sorted for people."""

    coins: dict[str, str]
    exchanges: dict[str, str]


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
    return Choices(
        coins=_by_name({market.base: market.coin_name for market in markets}),
        exchanges=_by_name(exchanges),
    )


def watched_markets(engine: Engine, coin: str | None = None) -> list[Market]:
    """Everything watched, or one coin's (code or name) markets: by coin, the index first."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("web/markets"), {"coin": coin}).mappings()
        return [Market(**row) for row in rows]


def _by_name(names: dict[str, str]) -> dict[str, str]:
    return dict(sorted(names.items(), key=lambda item: item[1].lower()))
