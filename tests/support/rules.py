"""Rules on BTC/USD at Kraken: Hypothesis strategies, subscribing, feeding prices, and when they fired."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from hypothesis import strategies as st

from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.subscriptions import subscribe

PRICES = st.lists(st.sampled_from([90.0, 95.0, 99.0, 100.0, 101.0, 105.0, 110.0]), min_size=2, max_size=30)
RULES = st.one_of(
    st.builds(
        Rule,
        st.just("change_since_last"),
        st.sampled_from([0.5, 1.0, 5.0]),
        st.sampled_from(["up", "down", "either"]),
        cooldown_seconds=st.sampled_from([0, 90, 300]),
        repeat=st.booleans(),
    ),
    st.builds(
        Rule,
        st.sampled_from(["change_over_window", "deviation_from_average"]),
        st.sampled_from([0.5, 1.0, 5.0]),
        st.sampled_from(["up", "down", "either"]),
        window_seconds=st.sampled_from([60, 90, 300, 600]),
        cooldown_seconds=st.sampled_from([0, 90, 300]),
        repeat=st.sampled_from([True, True, False]),
    ),
    st.builds(
        Rule,
        st.just("crosses"),
        st.sampled_from([95.0, 99.5, 100.0, 104.0]),
        st.sampled_from(["up", "down", "either"]),
        cooldown_seconds=st.sampled_from([0, 90, 300]),
        repeat=st.booleans(),
    ),
)


def add(engine: sa.Engine, rule: Rule, minutes: float = -1, email: str = "ada@example.org") -> int:
    """Subscribe to BTC/USD on Kraken; return the subscription's id."""
    return subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(minutes), confirmed=True).id


def fired(engine: sa.Engine, subscription: int) -> list[datetime]:
    """When the subscription fired."""
    query = sa.text("SELECT observed_at FROM alerts WHERE subscription_id = :id ORDER BY observed_at")
    with transaction(engine) as connection:
        return list(connection.execute(query, {"id": subscription}).scalars())


def feed(engine: sa.Engine, values: dict[float, float]) -> None:
    """Load prices (also as volumes) by minute, with an evaluation after each."""
    for minute, price in values.items():
        load(engine, quote(price, minute, volume_24h=price))
        store_alerts(engine, at(minute))


def minutes(moments: list[datetime]) -> list[float]:
    """Minutes since START."""
    return [(moment - at(0)) / timedelta(minutes=1) for moment in moments]
