"""What others got wrong, each by name; and that both ways of looking back find the same, to the last bit."""

import numpy as np
import pytest
import sqlalchemy as sa

from coinwatch.alerts import evaluation as matching
from coinwatch.alerts.evaluation import judge, prepare
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


def told(engine: sa.Engine, rule: Rule, *prices: float) -> list[float]:
    """The minutes at which a rule tells of these prices, one a minute."""
    subscription = add(engine, rule)
    feed(engine, dict(enumerate(prices)))
    return minutes(fired(engine, subscription))


@percent_rules
def test_the_new_value_is_stored_before_it_is_judged_and_yet_not_compared_with_itself(
    catalog: sa.Engine, kind: str, window: dict[str, int]
) -> None:
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
def test_half_a_percent_is_neither_fifty_nor_nothing(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    assert told(catalog, Rule(kind, 0.5, **window), 100, 100.4, 100.95) == [2]  # type: ignore[arg-type]


@percent_rules
def test_nothing_is_cut_down_to_whole_numbers(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    coin = 0.00001234  # worth less than any cent
    prices = (coin, coin * 1.0149, coin * 1.0149 * 1.0151)
    assert told(catalog, Rule(kind, 1.5, **window), *prices) == [2]  # type: ignore[arg-type]


@percent_rules
def test_drops_are_told_like_rises(catalog: sa.Engine, kind: str, window: dict[str, int]) -> None:
    either, down = (add(catalog, Rule(kind, 5, direction, **window)) for direction in ("either", "down"))  # type: ignore[arg-type]
    feed(catalog, dict(enumerate([100, 94, 94, 100])))
    assert (minutes(fired(catalog, either)), minutes(fired(catalog, down))) == ([1, 3], [1])


@pytest.mark.parametrize(("seconds", "expected"), [(59.999999, False), (60, True)])
def test_moments_are_not_cut_to_seconds(catalog: sa.Engine, seconds: float, expected: bool) -> None:
    rule = add(catalog, Rule("change_over_window", 5, window_seconds=60))
    feed(catalog, {0.01: 100, 0.01 + seconds / 60: 110})
    assert (fired(catalog, rule) == [at(0.01 + seconds / 60)]) is expected


@pytest.mark.parametrize("scale", [3e-11, 0.7, 41_234.5, 8e11], ids=str)
def test_a_sweep_finds_what_look_ups_find_to_the_last_bit(
    catalog: sa.Engine, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    swept = moves(catalog, at(moments[-1]), sweep=True)
    monkeypatch.setattr(matching, "SWEEPS", {})
    assert moves(catalog, at(moments[-1]), sweep=False) == swept
    assert len(swept) > 1000


@pytest.mark.parametrize("cooldown", [0, 600])
def test_what_a_sweep_leaves_out_would_have_fired_nothing(
    catalog: sa.Engine, cooldown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = np.random.default_rng(6)
    prices = 100 * np.exp(np.cumsum(np.repeat(chance.normal(0, 0.01, 60), 10) + chance.normal(0, 0.002, 600)))
    load(catalog, *(quote(float(price), minute) for minute, price in enumerate(prices)), now=at(600))
    for kind in ("change_over_window", "deviation_from_average"):
        for direction in ("up", "down", "either"):
            for threshold in (2, 4):
                rule = Rule(kind, threshold, direction, window_seconds=600, cooldown_seconds=cooldown)
                add(catalog, rule, minutes=-1)
    state = "SELECT id, armed, cooldown_until, array(SELECT observed_at FROM alerts WHERE subscription_id = s.id ORDER BY 1)"
    counts, outcomes = [], []
    for sweeps in (matching.SWEEPS, {}):
        monkeypatch.setattr(matching, "SWEEPS", sweeps)
        counts.append(len(moves(catalog, at(600), sweep=True)))
        outcomes.append(left(catalog, at(600), f"{state} FROM subscriptions s ORDER BY id", sweep=True))
    assert outcomes[0] == outcomes[1]
    assert all(len(row[3]) > 3 for row in outcomes[0])  # type: ignore[arg-type]
    assert (counts[0] < counts[1]) is (cooldown == 0)


def moves(engine: sa.Engine, now: object, *, sweep: bool) -> list[tuple[object, ...]]:
    """What one run sets values against, all of it."""
    return left(engine, now, "SELECT * FROM moves ORDER BY kind, window_seconds, metric, observed_at", sweep=sweep)


def left(engine: sa.Engine, now: object, question: str, *, sweep: bool) -> list[tuple[object, ...]]:
    """What a run would leave behind; nothing is kept."""
    with engine.connect() as connection:
        prepare(connection)
        judge(connection, at(-1), now, now, now, sweep=sweep)  # type: ignore[arg-type]
        rows = [tuple(row) for row in connection.execute(sa.text(question))]
        connection.rollback()
    return rows
