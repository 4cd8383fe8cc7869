"""The data of a run, generated from a seed: prices on three exchanges, and users with rules."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from coinwatch.alerts.rules import Direction, Metric, Rule
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists
from tests.exchange_server.market import COINS, QUOTE_CURRENCIES
from tests.exchange_server.server import ExchangeServer
from tests.support.settings import exchange
from tests.support.subscriptions import subscribe

EXCHANGES = ("coinbase", "binance", "coinnews")  # these have timestamps, so that quotes are the same in every run
BASES = ("BTC", "ETH", "SOL", "XRP")
CYCLES = 3  # the fault is injected into the last one
USERS = 60
ALERTS = """
SELECT u.email, e.code, i.base, s.kind, s.metric, s.direction, s.threshold, s.window_seconds, a.observed_at, a.price,
       CAST(o.message_id AS text) AS message_id, o.status
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN users u ON u.id = s.user_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
LEFT JOIN outbox o ON o.id = a.outbox_id
"""

Alert = tuple[object, ...]


@dataclass(frozen=True)
class AlertWithEmail:
    """An alert with the recipient, Message-ID and status of its email."""

    email: str
    alert: Alert
    metric: str
    price: float
    message_id: str | None
    status: str | None


class Scenario:
    """One seed's prices and users. All runs of a seed share ``start``, so that their alerts can be compared."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=CYCLES + 1)
        chance = random.Random(f"prices {seed}")
        self._prices: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for exchange_code in EXCHANGES:
            for base in BASES:
                price, volume = COINS[base][1] * chance.uniform(0.5, 2), chance.uniform(1e3, 1e5)
                steps = [(price, volume)]
                for _ in range(CYCLES - 1):
                    price *= 1 + chance.choice((-1, 1)) * chance.uniform(0.02, 0.09)
                    volume *= chance.uniform(0.7, 1.4)
                    steps.append((price, volume))
                self._prices[exchange_code, base] = [
                    (float(f"{price:.8g}"), float(f"{volume:.6g}")) for price, volume in steps
                ]

    def set_prices(self, exchange_server: ExchangeServer, cycle: int) -> None:
        """Set a cycle's prices on the exchange server."""
        at = self.start + timedelta(minutes=cycle)
        for (exchange_code, base), steps in self._prices.items():
            price, volume = steps[cycle]
            exchange_server.market.set_price(
                exchange_code, base, QUOTE_CURRENCIES[exchange_code], price, at=at, volume=volume
            )

    def subscribe_users(self, engine: Engine) -> None:
        """Create one to three random rules for each user, active from just before the first quote."""
        chance = random.Random(f"people {self.seed}")
        for number in range(USERS):
            for _ in range(chance.randint(1, 3)):
                exchange_code, base = chance.choice(EXCHANGES), chance.choice(BASES)
                try:
                    subscribe(
                        engine,
                        email=f"person{number}@example.org",
                        coin=base,
                        exchange=exchange_code,
                        rule=self._rule(chance, exchange_code, base),
                        now=self.start - timedelta(seconds=1),
                        confirmed=True,
                    )
                except AlreadyExists:
                    continue

    def _rule(self, chance: random.Random, exchange_code: str, base: str) -> Rule:
        kind = chance.choice(("change_since_last", "change_over_window", "deviation_from_average", "crosses"))
        metric: Metric = chance.choice(("price", "price", "volume_24h"))
        repeat = chance.random() < 0.7
        direction: Direction = chance.choice(("up", "down", "either", "either"))
        if kind == "crosses":
            first, *_, last = (step[metric == "volume_24h"] for step in self._prices[exchange_code, base])
            return Rule("crosses", round(first + (last - first) * chance.uniform(0.3, 0.9), 6), direction, metric)
        windows = {"change_over_window": (60, 120), "deviation_from_average": (120, 300)}
        window = chance.choice(windows[kind]) if kind in windows else 0
        return Rule(kind, round(chance.uniform(0.5, 5), 2), direction, metric, window, repeat=repeat)  # type: ignore[arg-type]


def exchange_settings(exchange_server: ExchangeServer) -> dict[str, object]:
    """The settings of a run's coins and exchanges."""
    return {
        "coins": {base: {"name": COINS[base][0].title()} for base in BASES},
        "exchanges": {
            exchange_code: exchange(
                exchange_code.title(),
                *(f"{base}/{QUOTE_CURRENCIES[exchange_code]}" for base in BASES),
                base_url=exchange_server.base_url(exchange_code),
            )
            for exchange_code in EXCHANGES
        },
    }


def alerts_of(engine: Engine) -> list[AlertWithEmail]:
    """All alerts in the database."""
    with transaction(engine) as connection:
        rows = connection.execute(sa.text(ALERTS)).all()
    return [AlertWithEmail(row[0], tuple(row[:10]), row.metric, row.price, row.message_id, row.status) for row in rows]
