"""Rules on BTC/USD at Kraken: Hypothesis strategies, subscribing, feeding prices, and when they fired."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from hypothesis import strategies as st

from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.subscriptions import subscribe

PRICES = st.lists(st.sampled_from([90.0, 95.0, 99.0, 100.0, 101.0, 105.0, 110.0, 121.0]), min_size=2, max_size=30)
DIRECTIONS = st.sampled_from(["up", "down", "either"])
COOLDOWNS = st.sampled_from([0, 90, 300])
LADDERS = st.sampled_from([1.0, 5.0])
LEVELS = st.sampled_from([95.0, 99.5, 100.0, 104.0])
WINDOWS = st.sampled_from([60, 90, 300, 600])
THRESHOLDS = st.sampled_from([0.5, 1.0, 5.0])
RULES = st.one_of(
    st.builds(
        Rule,
        st.just("change_since_last"),
        THRESHOLDS,
        DIRECTIONS,
        cooldown_seconds=COOLDOWNS,
        repeat=st.booleans(),
    ),
    st.builds(
        Rule,
        st.sampled_from(["change_over_window", "deviation_from_average"]),
        THRESHOLDS,
        DIRECTIONS,
        window_seconds=WINDOWS,
        cooldown_seconds=COOLDOWNS,
        repeat=st.sampled_from([True, True, False]),
    ),
    st.builds(
        Rule,
        st.just("crosses"),
        LEVELS,
        DIRECTIONS,
        cooldown_seconds=COOLDOWNS,
        repeat=st.booleans(),
    ),
    st.builds(Rule, st.just("crosses"), LEVELS, DIRECTIONS, cooldown_seconds=COOLDOWNS, ladder_percent=LADDERS),
    st.builds(
        Rule,
        st.just("change_over_window"),
        THRESHOLDS,
        DIRECTIONS,
        window_seconds=WINDOWS,
        cooldown_seconds=COOLDOWNS,
        ladder_percent=LADDERS,
    ),
)
# New highs and lows need days of history: minutes between the values.
INTERVALS = st.sampled_from([1, 7, 59, 60, 61, 300, 700, 1440, 3000, 9000, 20000])
EXTREME_RULES = st.builds(
    Rule,
    st.just("new_high"),
    st.sampled_from([0.0, 0.0, 1.0, 5.0]),
    st.just("up"),
    window_seconds=st.sampled_from([0, 86_400, 604_800, 2_592_000]),
    cooldown_seconds=st.sampled_from([0, 3_600, 86_400]),
    repeat=st.sampled_from([True, True, False]),
).flatmap(lambda rule: st.sampled_from([rule, replace(rule, kind="new_low", direction="down")]))


def add(engine: sa.Engine, rule: Rule, minutes: float = -1, email: str = "ada@example.org") -> int:
    """Subscribe to BTC/USD on Kraken; return the subscription's id."""
    return subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(minutes), confirmed=True).id


def fired(engine: sa.Engine, subscription: int) -> list[datetime]:
    """When the subscription fired."""
    query = sa.text("SELECT observed_at FROM alerts WHERE subscription_id = :id ORDER BY observed_at")
    with transaction(engine) as connection:
        return list(connection.execute(query, {"id": subscription}).scalars())


def fired_steps(engine: sa.Engine, subscription: int) -> list[int | None]:
    """The steps of a ladder of each of the subscription's alerts; None for alerts that are none."""
    query = sa.text("SELECT steps FROM alerts WHERE subscription_id = :id ORDER BY observed_at")
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


def clear(engine: sa.Engine) -> None:
    """Delete quotes, candles, subscriptions and alerts, between two examples of a property."""
    alerts = ("alerts", "outbox", "subscriptions", "users", "evaluation_watermarks", "period_extremes")
    with transaction(engine) as connection:
        for table in (*alerts, "prices", "latest_quotes", "candles", "stale_candles"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
