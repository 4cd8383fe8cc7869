"""Exactness of changes, and equality of the results of both ways of finding references."""

import numpy as np
import pytest
import sqlalchemy as sa

from coinwatch.alerts.evaluation import create_temporary_tables, evaluate_range
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.rules import add, feed, fired, minutes

PERCENT_RULES = {
    "change_since_last": {},
    "change_over_window": {"window_seconds": 60},
    "deviation_from_average": {"window_seconds": 60},
}
percent_rules = pytest.mark.parametrize(("kind", "window"), PERCENT_RULES.items(), ids=PERCENT_RULES)


def fired_minutes(engine: sa.Engine, rule: Rule, *prices: float) -> list[float]:
    """The minutes at which a rule fires for these prices, one per minute."""
    subscription = add(engine, rule)
    feed(engine, dict(enumerate(prices)))
    return minutes(fired(engine, subscription))


@percent_rules
def test_value_is_not_compared_with_itself(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    rule = Rule(kind, 5, **window)  # type: ignore[arg-type]
    subscription = add(catalog, rule)
    load(catalog, quote(100, 0))
    store_alerts(catalog, at(0))
    load(catalog, quote(110, 1))
    with transaction(catalog) as connection:
        stored = connection.execute(sa.text("SELECT price FROM prices ORDER BY observed_at DESC LIMIT 1")).scalar_one()
    store_alerts(catalog, at(1))
    assert (stored, minutes(fired(catalog, subscription))) == (110, [1])


@percent_rules
def test_threshold_below_one_percent(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    assert fired_minutes(catalog, Rule(kind, 0.5, **window), 100, 100.4, 100.95) == [2]  # type: ignore[arg-type]


@percent_rules
def test_values_are_not_truncated(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    coin = 0.00001234  # worth less than any cent
    prices = (coin, coin * 1.0149, coin * 1.0149 * 1.0151)
    assert fired_minutes(catalog, Rule(kind, 1.5, **window), *prices) == [2]  # type: ignore[arg-type]


@percent_rules
def test_falling_prices_fire_like_rising_ones(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    either, down = (add(catalog, Rule(kind, 5, direction, **window)) for direction in ("either", "down"))  # type: ignore[arg-type]
    feed(catalog, dict(enumerate([100, 94, 94, 100])))
    assert (minutes(fired(catalog, either)), minutes(fired(catalog, down))) == ([1, 3], [1])


@pytest.mark.parametrize(("seconds", "expected"), [(59.999999, False), (60, True)])
def test_times_are_not_truncated_to_seconds(catalog: sa.Engine, seconds: float, expected: bool) -> None:
    rule = add(catalog, Rule("change_over_window", 5, window_seconds=60))
    feed(catalog, {0.01: 100, 0.01 + seconds / 60: 110})
    assert (fired(catalog, rule) == [at(0.01 + seconds / 60)]) is expected


@pytest.mark.parametrize("scale", [3e-11, 0.7, 41_234.5, 8e11], ids=str)
def test_scan_finds_bit_identical_changes(catalog: sa.Engine, scale: float) -> None:
    chance = np.random.default_rng(5)
    number = 600
    prices = scale * np.exp(np.cumsum(chance.normal(0, 0.004, number)))
    volumes = np.where(chance.random(number) < 0.1, 0, 1e6 * scale * chance.random(number))
    moments = np.cumsum(chance.choice([0.5, 1.0, 1.7, 90.0], number, p=[0.3, 0.4, 0.29, 0.01]))
    load(
        catalog,
        *(
            quote(float(price), float(minute), **({"volume_24h": float(volume)} if chance.random() < 0.9 else {}))
            for price, minute, volume in zip(prices, moments, volumes, strict=True)
        ),
        now=at(moments[-1]),
    )
    for metric in ("price", "volume_24h"):
        for window in (60, 300, 7200):
            for kind in ("change_over_window", "deviation_from_average"):
                rule = Rule(kind, 0.01, metric=metric, window_seconds=window, cooldown_seconds=1)
                add(catalog, rule, minutes=moments[100])
    scanned = changes(catalog, at(moments[-1]), scan=True)
    assert changes(catalog, at(moments[-1]), scan=False) == scanned
    assert len(scanned) > 1000


@pytest.mark.parametrize("cooldown", [0, 600])
def test_changes_skipped_by_the_scan_would_not_have_fired(catalog: sa.Engine, cooldown: int) -> None:
    chance = np.random.default_rng(6)
    prices = 100 * np.exp(np.cumsum(np.repeat(chance.normal(0, 0.01, 60), 10) + chance.normal(0, 0.002, 600)))
    load(catalog, *(quote(float(price), minute) for minute, price in enumerate(prices)), now=at(600))
    for kind in ("change_over_window", "deviation_from_average"):
        for direction in ("up", "down", "either"):
            for threshold in (2, 4):
                rule = Rule(kind, threshold, direction, window_seconds=600, cooldown_seconds=cooldown)
                add(catalog, rule, minutes=-1)
    times = "array(SELECT observed_at FROM alerts WHERE subscription_id = s.id ORDER BY 1)"
    counts, outcomes = [], []
    for scan in (True, False):
        counts.append(len(changes(catalog, at(600), scan=scan)))
        outcomes.append(
            rows_after(
                catalog,
                at(600),
                f"SELECT id, armed, cooldown_until, {times} FROM subscriptions s ORDER BY id",
                scan=scan,
            )
        )
    assert outcomes[0] == outcomes[1]
    assert all(len(row[3]) > 3 for row in outcomes[0])  # type: ignore[arg-type]
    assert (counts[0] < counts[1]) is (cooldown == 0)


def changes(engine: sa.Engine, now: object, *, scan: bool) -> list[tuple[object, ...]]:
    """All changes that an evaluation finds."""
    return rows_after(
        engine, now, "SELECT * FROM changes ORDER BY kind, window_seconds, metric, observed_at", scan=scan
    )


def rows_after(engine: sa.Engine, now: object, query: str, *, scan: bool) -> list[tuple[object, ...]]:
    """Rows of a query after an evaluation that is rolled back."""
    with engine.connect() as connection:
        create_temporary_tables(connection)
        evaluate_range(connection, at(-1), now, now, now, scan=scan)  # type: ignore[arg-type]
        rows = [tuple(row) for row in connection.execute(sa.text(query))]
        connection.rollback()
    return rows
