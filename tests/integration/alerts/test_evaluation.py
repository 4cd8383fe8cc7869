"""change_since_last fires exactly once per change, also after an outage, for repeated and for late quotes."""

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts import rules as library
from coinwatch.alerts.subscriptions import unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import QueryTimeout
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.subscriptions import subscribe


@dataclass(frozen=True)
class Rule:
    percent: float
    direction: str = "either"
    cooldown_seconds: int = 0


def add(engine: sa.Engine, rule: Rule, email: str = "ada@example.org", minutes: float = -1, **more: Any) -> int:
    return subscribe(
        engine,
        email=email,
        coin="BTC",
        rule=library.Rule(
            threshold=rule.percent,
            direction=rule.direction,
            cooldown_seconds=rule.cooldown_seconds,  # type: ignore[arg-type]
        ),
        exchange="kraken",
        now=at(minutes),
        confirmed=True,
        **more,
    ).id


def alerts(engine: sa.Engine, subscription: int | None = None) -> list[tuple[float, float]]:
    """(minute, change in percent) of every alert, in order."""
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text(
                "SELECT observed_at, change_percent FROM alerts "
                "WHERE CAST(:id AS bigint) IS NULL OR subscription_id = :id ORDER BY observed_at, id"
            ),
            {"id": subscription},
        )
        return [((row.observed_at - at(0)).total_seconds() / 60, round(row.change_percent, 6)) for row in rows]


def feed(engine: sa.Engine, *prices: float, first: int = 0, each: bool = True) -> None:
    """A price per minute, evaluated after each one, or once at the end as after an outage."""
    for minute, price in enumerate(prices, first):
        load(engine, quote(price, minute))
        if each:
            store_alerts(engine, at(minute))
    if not each:
        store_alerts(engine, at(first + len(prices)))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(5), [(1, 5.0), (2, -10.0), (4, 5.291005)]),
        (Rule(5, "up"), [(1, 5.0), (4, 5.291005)]),
        (Rule(5, "down"), [(2, -10.0)]),
        (Rule(5.3), [(2, -10.0)]),
        (Rule(11), []),
    ],
)
@pytest.mark.parametrize("each", [True, False], ids=["cycle by cycle", "after an outage"])
def test_fires_on_changes_that_reach_the_threshold(
    catalog: sa.Engine, rule: Rule, expected: list[tuple[float, float]], each: bool
) -> None:
    add(catalog, rule)
    feed(catalog, 100.0, 105.0, 94.5, 94.5, 99.5, each=each)
    assert alerts(catalog) == expected


def test_change_of_exactly_the_threshold_fires_despite_floating_point(catalog: sa.Engine) -> None:
    add(catalog, Rule(5))
    feed(catalog, 0.1, 0.105)
    assert alerts(catalog) == [(1, 5.0)]


def test_first_price_does_not_fire(catalog: sa.Engine) -> None:
    add(catalog, Rule(0.01))
    feed(catalog, 100.0)
    assert alerts(catalog) == []


def test_subscription_ignores_earlier_quotes(catalog: sa.Engine) -> None:
    feed(catalog, 100.0, 200.0)
    add(catalog, Rule(5), minutes=1.5)
    feed(catalog, 200.0, 220.0, first=2)
    assert alerts(catalog) == [(3, 10.0)]


def test_second_subscription_ignores_earlier_pending_quotes(catalog: sa.Engine) -> None:
    add(catalog, Rule(5))
    load(catalog, quote(100.0, 0), quote(150.0, 1))
    second = add(catalog, Rule(5), email="bob@example.org", minutes=1.5)
    store_alerts(catalog, at(2))
    assert alerts(catalog, second) == []


@pytest.mark.parametrize("each", [True, False], ids=["cycle by cycle", "after an outage"])
def test_cooldown_starts_at_the_last_alert(catalog: sa.Engine, each: bool) -> None:
    add(catalog, Rule(5, cooldown_seconds=120))
    feed(catalog, 100.0, 110.0, 121.0, 133.1, 146.41, 161.051, 100.0, each=each)
    assert [minute for minute, _ in alerts(catalog)] == [1, 3, 5]


@pytest.mark.parametrize("each", [True, False], ids=["cycle by cycle", "after an outage"])
def test_subscription_without_repeat_ends_after_one_alert(catalog: sa.Engine, each: bool) -> None:
    subscription = add(catalog, Rule(5))
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE subscriptions SET repeat = false"))
    feed(catalog, 100.0, 110.0, 100.0, 110.0, each=each)
    assert [minute for minute, _ in alerts(catalog)] == [1]
    with transaction(catalog) as connection:
        status = connection.execute(sa.text("SELECT status FROM subscriptions WHERE id = :id"), {"id": subscription})
        assert status.scalar_one() == "ended"


def test_repeated_evaluation_fires_nothing(catalog: sa.Engine) -> None:
    add(catalog, Rule(5))
    feed(catalog, 100.0, 110.0)
    for _ in range(3):
        store_alerts(catalog, at(3))
    load(catalog, quote(110.0, 1), now=at(3))
    store_alerts(catalog, at(4))
    assert len(alerts(catalog)) == 1


def test_late_quote_never_fires(catalog: sa.Engine) -> None:
    add(catalog, Rule(5))
    feed(catalog, 100.0)
    feed(catalog, 101.0, first=5)
    load(catalog, quote(300.0, 3), now=at(6))
    store_alerts(catalog, at(6))
    assert alerts(catalog) == []
    feed(catalog, 101.0, first=7)
    assert alerts(catalog) == [], "minute 7 is compared with 5, not with the late quote of 3"


def test_only_active_subscriptions_fire(catalog: sa.Engine) -> None:
    add(catalog, Rule(5), email="active@example.org")
    unsubscribe(catalog, add(catalog, Rule(5), email="gone@example.org"))
    for status in ("paused", "pending", "ended"):
        subscription = add(catalog, Rule(5), email=f"{status}@example.org")
        with transaction(catalog) as connection:
            connection.execute(
                sa.text("UPDATE subscriptions SET status = :status WHERE id = :id"),
                {"status": status, "id": subscription},
            )
    expired = add(catalog, Rule(5), email="expired@example.org")
    with transaction(catalog) as connection:
        connection.execute(
            sa.text("UPDATE subscriptions SET expires_at = :at WHERE id = :id"), {"at": at(0.5), "id": expired}
        )
    feed(catalog, 100.0, 110.0)
    with transaction(catalog) as connection:
        recipients = connection.execute(sa.text("SELECT recipient FROM outbox WHERE kind = 'alerts'")).scalars().all()
    assert list(recipients) == ["active@example.org"]


def test_alerts_for_one_user_in_one_cycle_share_an_email(catalog: sa.Engine) -> None:
    for percent in (1, 2, 3):
        add(catalog, Rule(percent))
    add(catalog, Rule(1), email="bob@example.org")
    feed(catalog, 100.0)
    load(catalog, quote(110.0, 1))
    result = store_alerts(catalog, at(1))
    assert (result.alerts, result.emails) == (4, 2)
    with transaction(catalog) as connection:
        emails = connection.execute(sa.text("SELECT recipient, payload FROM outbox ORDER BY recipient")).all()
    assert [(row.recipient, len(row.payload["alerts"])) for row in emails] == [
        ("ada@example.org", 3),
        ("bob@example.org", 1),
    ]
    assert emails[0].payload["alerts"][0]["price"] == 110.0
    assert emails[0].payload["alerts"][0]["reference"] == 100.0


def test_failed_evaluation_is_rolled_back(catalog: sa.Engine) -> None:
    add(catalog, Rule(5))
    feed(catalog, 100.0)
    load(catalog, quote(110.0, 1))
    with catalog.connect() as blocker:
        # The run waits for this lock on the watermarks until its statement times out.
        blocker.execute(sa.text("SELECT * FROM evaluation_watermarks FOR UPDATE"))
        with pytest.raises(QueryTimeout):
            evaluate_with_timeout(catalog)
        blocker.rollback()
    assert alerts(catalog) == []
    store_alerts(catalog, at(2))
    assert alerts(catalog) == [(1, 10.0)]


def evaluate_with_timeout(engine: sa.Engine) -> None:
    impatient = engine.execution_options()

    @sa.event.listens_for(impatient, "begin")
    def set_timeout(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = '300ms'")

    try:
        store_alerts(impatient, at(2))
    finally:
        sa.event.remove(impatient, "begin", set_timeout)


prices = st.lists(st.sampled_from([90.0, 95.0, 99.0, 100.0, 101.0, 105.0, 110.0]), min_size=2, max_size=25)
rules = st.builds(
    Rule,
    st.sampled_from([0.5, 1.0, 5.0, 10.0]),
    st.sampled_from(["up", "down", "either"]),
    st.sampled_from([0, 60, 90, 300]),
)


@hypothesis_settings(max_examples=40)
@given(prices=prices, rule=rules, cuts=st.sets(st.integers(0, 24)))
def test_alerts_do_not_depend_on_how_quotes_are_split_into_cycles(
    catalog: sa.Engine, prices: list[float], rule: Rule, cuts: set[int]
) -> None:
    with transaction(catalog) as connection:
        for table in ("alerts", "outbox", "subscriptions", "users", "evaluation_watermarks", "prices", "latest_quotes"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    add(catalog, rule)
    for minute, price in enumerate(prices):
        load(catalog, quote(price, minute))
        if minute in cuts:
            store_alerts(catalog, at(minute))
    store_alerts(catalog, at(len(prices)))
    assert [minute for minute, _ in alerts(catalog)] == expected_minutes(prices, rule)


def expected_minutes(prices: list[float], rule: Rule) -> list[int]:
    """The definition of change_since_last, price by price."""
    fired: list[int] = []
    for minute in range(1, len(prices)):
        change = 100 * (prices[minute] - prices[minute - 1]) / prices[minute - 1]
        wanted = {"up": change > 0, "down": change < 0, "either": True}[rule.direction]
        ready = not fired or (minute - fired[-1]) * 60 >= rule.cooldown_seconds
        if wanted and ready and abs(change) * (1 + 1e-12) >= rule.percent:
            fired.append(minute)
    return fired
