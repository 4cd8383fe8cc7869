"""The distance from the current value to a rule's threshold agrees with the evaluation."""

from dataclasses import replace
from itertools import product

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.alerts.distance import Distance, distances_of, measure_distances
from coinwatch.alerts.rules import EXTREMES, Direction, Kind, Rule
from coinwatch.alerts.subscription_changes import pause
from coinwatch.alerts.subscriptions import get_subscription, list_subscriptions
from coinwatch.database import transaction
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import find_instrument
from tests.conftest import Database
from tests.support.plans import explain_engine
from tests.support.quotes import at, load, quote
from tests.support.rules import add, feed, fired, minutes

DIRECTIONS: tuple[Direction, ...] = ("up", "down", "either")
WINDOWS = [
    Rule(kind, threshold, direction, window_seconds=seconds)  # type: ignore[arg-type]
    for kind, threshold, direction, seconds in product(
        ("change_over_window", "deviation_from_average"), (0.5, 2.0), DIRECTIONS, (60, 270)
    )
]
LEVELS = [Rule("crosses", level, direction) for level, direction in product((99.0, 100.0, 101.5), ("up", "down"))]  # type: ignore[arg-type]
HOUR = Rule("change_over_window", 5, window_seconds=3600)


def random_prices(number: int) -> list[float]:
    """A random walk around 100, rounded, so that levels are reached exactly, with values a minute apart."""
    steps = np.random.default_rng(11).choice([-1.5, -0.5, 0, 0.5, 1.5], number)
    return [float(price) for price in 100 + np.cumsum(steps - 0.1 * np.sign(np.cumsum(steps)))]


def measure(engine: sa.Engine, minute: float, *rules: Rule, exchange: str = "kraken") -> list[Distance]:
    with transaction(engine) as connection:
        instrument_id = find_instrument(connection, "BTC", exchange).instrument_id
        return measure_distances(connection, [(instrument_id, rule) for rule in rules], at(minute))


def numbers(distance: Distance) -> tuple[float | None, ...]:
    """The change so far, the value that fires, and the distance to it."""
    found = (distance.change_percent, distance.fires_at, distance.distance_percent)
    return tuple(None if number is None else round(number, 6) for number in found)


def test_rules_fire_when_their_condition_becomes_true(catalog: sa.Engine) -> None:
    rules = [*WINDOWS, *LEVELS]
    subscriptions = [add(catalog, rule, email=f"p{number}@example.org") for number, rule in enumerate(rules)]
    became_true: list[list[float]] = [[] for _ in rules]
    was_true: list[bool] = []
    for minute, price in enumerate(random_prices(120)):
        feed(catalog, {minute: price})
        is_true = [bool(distance.is_true) for distance in measure(catalog, minute, *rules)]
        # The first value is not a crossing, and a change rule has nothing to compare it with.
        for number, (before, after) in enumerate(zip(was_true or is_true, is_true, strict=True)):
            if after and not before:
                became_true[number].append(minute)
        was_true = is_true
    assert [minutes(fired(catalog, subscription)) for subscription in subscriptions] == became_true
    assert min(map(len, became_true[len(WINDOWS) :])) > 0, "every level is crossed"


@pytest.mark.parametrize("beyond", [False, True], ids=["just short of it", "just beyond it"])
@pytest.mark.parametrize(
    "rule",
    [
        Rule("change_since_last", 2, "either"),
        Rule("change_over_window", 2, "up", window_seconds=120),
        Rule("change_over_window", 2, "down", window_seconds=120),
        Rule("change_over_window", 2, "either", window_seconds=120),
        Rule("crosses", 102, "either"),
        Rule("crosses", 97, "down"),
    ],
    ids=lambda rule: f"{rule.kind} {rule.direction}",
)
def test_next_value_fires_from_the_stated_value_on(catalog: sa.Engine, rule: Rule, beyond: bool) -> None:
    """Not for averages, of which the current value becomes a part."""
    feed(catalog, {0: 100, 1: 100.5, 2: 99.5, 3: 100})
    subscription = add(catalog, rule, 3)
    [distance] = measure(catalog, 3, rule)
    assert distance.fires_at is not None
    sign = 1 if (distance.fires_at > 100) is beyond else -1
    feed(catalog, {3.001: distance.fires_at * (1 + sign * 1e-9)})
    assert len(fired(catalog, subscription)) == beyond


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("crosses", 105, "up"), (-4.761905, 105, 5)),
        (Rule("crosses", 95, "up"), (5.263158, 95, -5)),
        (Rule("crosses", 95, "either"), (5.263158, 95, -5)),
        (Rule("change_over_window", 5, "up", window_seconds=3600), (-0.990099, 106.05, 6.05)),
        (Rule("change_over_window", 5, "down", window_seconds=3600), (-0.990099, 95.95, -4.05)),
        (Rule("change_over_window", 5, "either", window_seconds=3600), (-0.990099, 95.95, -4.05)),
        (Rule("change_over_window", 0.5, "either", window_seconds=3600), (-0.990099, 100.495, 0)),
        (Rule("change_over_window", 0.5, "up", window_seconds=3600), (-0.990099, 101.505, 1.505)),
        (Rule("deviation_from_average", 2, "up", window_seconds=7200), (-1.960784, 104.04, 4.04)),
        (Rule("change_since_last", 2, "down"), (-2.912621, 98, -2)),
        (Rule("change_over_window", 150, "down", window_seconds=3600), (-0.990099, None, None)),
        (Rule("change_over_window", 150, "either", window_seconds=3600), (-0.990099, 252.5, 152.5)),
    ],
    ids=lambda value: f"{value.kind} {value.direction} {value.threshold:g}" if isinstance(value, Rule) else "",
)
def test_distance_is_from_the_current_value(catalog: sa.Engine, rule: Rule, expected: tuple[float | None, ...]) -> None:
    feed(catalog, {0: 101, 30: 103, 60: 100})
    [distance] = measure(catalog, 61, rule)
    assert (distance.value, distance.observed_at) == (100, at(60))
    assert numbers(distance) == expected


@pytest.mark.parametrize(
    ("rule", "is_true"),
    [
        (Rule("crosses", 95, "up"), True),
        (Rule("crosses", 100, "up"), True),
        (Rule("crosses", 105, "up"), False),
        (Rule("crosses", 95, "down"), False),
        (Rule("crosses", 95, "either"), False),
        (Rule("change_over_window", 1, "up", window_seconds=3600), False),
        (Rule("change_over_window", 1, "down", window_seconds=3600), True),
        (Rule("change_over_window", 1, "down", window_seconds=7200), None),
        (Rule("change_since_last", 1, "up"), False),
        (Rule("change_since_last", 1, "either"), True),
    ],
)
def test_condition_is_true_false_or_unknown(catalog: sa.Engine, rule: Rule, is_true: bool | None) -> None:
    feed(catalog, {0: 102, 30: 103, 60: 100})
    assert measure(catalog, 61, rule)[0].is_true is is_true


def test_without_a_price_nothing_is_known(catalog: sa.Engine) -> None:
    assert measure(catalog, 0, HOUR, Rule("crosses", 100)) == [Distance(), Distance()]


def test_too_little_history_leaves_the_value_only(catalog: sa.Engine) -> None:
    feed(catalog, {0: 100, 30: 101})
    assert measure(catalog, 31, HOUR) == [Distance(value=101, observed_at=at(30))]


def test_exchange_without_volumes_has_no_distance_to_a_volume(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0))
    assert measure(catalog, 1, Rule("crosses", 50, metric="volume_24h"), Rule("crosses", 200)) == [
        Distance(),
        Distance(100, at(0), 200, None, -50, 200, 100, is_true=False),
    ]


def test_volumes_are_compared_with_volumes(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0, volume_24h=1000.0), quote(100, 30), quote(100, 60, volume_24h=1100.0))
    [change, since_last] = measure(
        catalog,
        61,
        Rule("change_over_window", 20, "up", "volume_24h", 1800),
        Rule("change_since_last", 20, "up", "volume_24h"),
    )
    assert (numbers(change), change.reference_at) == ((10, 1200, 9.090909), at(0))
    assert (numbers(since_last), since_last.reference_at) == ((10, 1320, 20), at(0))


@pytest.mark.parametrize(
    "rule",
    [HOUR, Rule("change_since_last", 5), Rule("deviation_from_average", 5, window_seconds=3660)],
    ids=lambda rule: rule.kind,
)
def test_index_is_compared_over_the_same_exchanges(catalog: sa.Engine, rule: Rule) -> None:
    """Its value was 100 with a divisor of 1; with another exchange it is 120, which is no change."""
    with transaction(catalog) as connection:
        instrument_id = find_instrument(connection, "BTC").instrument_id
        rows = [
            {"id": instrument_id, "at": at(0), "price": 100, "divisors": None},
            {"id": instrument_id, "at": at(60), "price": 120, "divisors": [1.2, 1.0]},
        ]
        connection.execute(sa.text("SELECT create_price_partitions(:day, :day)"), {"day": at(0).date()})
        for table, chosen in (("prices", rows), ("latest_quotes", rows[-1:])):
            connection.execute(
                sa.text(
                    f"INSERT INTO {table} (instrument_id, observed_at, price, divisors, received_at) "
                    "VALUES (:id, :at, :price, :divisors, :at)"
                ),
                chosen,
            )
    [distance] = measure(catalog, 61, rule, exchange="index")
    assert (numbers(distance), distance.reference) == ((0, 126, 5), 120)


@pytest.fixture
def two_days(catalog: sa.Engine) -> sa.Engine:
    """Two days of prices and volumes of 100, but 120, 130 and 80 a day ago, and 110 now."""
    values = {-2880 + 30 * step: 100.0 for step in range(96)} | {-1500: 120.0, -1320: 130.0, -1290: 80.0, -1: 110.0}
    load(catalog, *(quote(value, minute, volume_24h=value) for minute, value in sorted(values.items())), now=at(0))
    refresh_candles(catalog)
    return catalog


@pytest.mark.parametrize(
    ("rule", "expected", "is_true"),
    [
        (Rule("new_high", 0, "up", window_seconds=86_400), (-15.384615, 130, 18.181818), False),
        (Rule("new_high", 10, "up", window_seconds=86_400), (-15.384615, 143, 30), False),
        (Rule("new_low", 0, "down", window_seconds=86_400), (37.5, 80, -27.272727), False),
        (Rule("new_high", 0, "up", window_seconds=0), (-15.384615, 130, 18.181818), False),
        (Rule("new_high", 0, "up", window_seconds=604_800), (None, None, None), None),
        (Rule("new_high", 0, "up", window_seconds=31_449_600), (None, None, None), None),
        (Rule("new_low", 0, "down", "volume_24h", 86_400), (37.5, 80, -27.272727), False),
    ],
    ids=lambda value: f"{value.kind} {value.metric} {value.window_seconds}" if isinstance(value, Rule) else "",
)
def test_extreme_of_the_period_is_the_value_to_pass(
    two_days: sa.Engine, rule: Rule, expected: tuple[float | None, ...], is_true: bool | None
) -> None:
    [distance] = measure(two_days, 0, rule)
    assert (distance.value, numbers(distance), distance.is_true) == (110, expected, is_true)


def test_current_value_may_be_the_extreme(two_days: sa.Engine) -> None:
    load(two_days, quote(140, 0))
    [high] = measure(two_days, 0, Rule("new_high", 0, "up", window_seconds=86_400))
    assert (numbers(high), high.is_true, high.reference_at) == ((0, 140, 0), True, at(0))


@pytest.mark.parametrize("beyond", [False, True], ids=["just short of it", "just beyond it"])
@pytest.mark.parametrize("kind", ["new_high", "new_low"])
def test_next_value_beyond_the_extreme_fires(two_days: sa.Engine, kind: Kind, beyond: bool) -> None:
    rule = Rule(kind, 0, EXTREMES[kind], window_seconds=86_400)
    subscription = add(two_days, rule, 0)
    [distance] = measure(two_days, 0, rule)
    assert distance.fires_at is not None
    sign = 1 if (kind == "new_high") is beyond else -1
    feed(two_days, {0.5: distance.fires_at * (1 + sign * 1e-6)})
    assert len(fired(two_days, subscription)) == beyond


def test_own_subscriptions_are_measured_by_id(catalog: sa.Engine) -> None:
    feed(catalog, {0: 100})
    levels = {add(catalog, Rule("crosses", level), 1): level for level in (90.0, 110.0, 120.0)}
    found = distances_of(catalog, list_subscriptions(catalog), at(1))
    assert {number: distance.fires_at for number, distance in found.items()} == levels
    assert distances_of(catalog, [], at(1)) == {}


UP_LADDER = Rule("crosses", 100, "up", ladder_percent=5)
WINDOW_LADDER = Rule("change_over_window", 5, "up", window_seconds=60, ladder_percent=2)


def measure_own(engine: sa.Engine, minute: float) -> Distance:
    """The distance of the only subscription."""
    [distance] = distances_of(engine, list_subscriptions(engine), at(minute)).values()
    return distance


@pytest.mark.parametrize(
    ("rule", "prices", "expected"),
    [
        (UP_LADDER, [99.0], (100, 1.010101, False, False)),
        (UP_LADDER, [99.0, 101], (105, 3.960396, False, True)),
        (UP_LADDER, [99.0, 101, 116], (121.550625, 4.785022, False, True)),
        (UP_LADDER, [99.0, 101, 116, 108], (121.550625, 12.546875, False, True)),
        (UP_LADDER, [99.0, 101, 116, 96], (100, 4.166667, False, False)),
        (replace(UP_LADDER, direction="down"), [101.0, 99], (95, -4.040404, False, True)),
        (replace(UP_LADDER, direction="either"), [101.0, 99], (95, -4.040404, False, True)),
        (replace(UP_LADDER, cooldown_seconds=600), [99.0, 101, 106], (105, 0, True, True)),
        (WINDOW_LADDER, [100.0, 106], (108.12, 2, False, True)),
        (WINDOW_LADDER, [100.0, 106, 113], (114.737809, 1.537884, False, True)),
        (WINDOW_LADDER, [100.0, 106, 107], (111.3, 4.018692, False, False)),
    ],
)
def test_next_step_of_a_ladder_is_the_target_while_it_continues(
    catalog: sa.Engine, rule: Rule, prices: list[float], expected: tuple[float, float, bool, bool]
) -> None:
    add(catalog, rule)
    feed(catalog, dict(enumerate(prices)))
    distance = measure_own(catalog, len(prices))
    _, fires_at, away = numbers(distance)
    assert (fires_at, away, distance.is_true, distance.is_step) == expected


@pytest.mark.parametrize("beyond", [False, True], ids=["just short of it", "just beyond it"])
@pytest.mark.parametrize("rule", [UP_LADDER, WINDOW_LADDER], ids=lambda rule: rule.kind)
def test_next_value_at_the_step_fires(catalog: sa.Engine, rule: Rule, beyond: bool) -> None:
    subscription = add(catalog, rule)
    feed(catalog, {0: 99, 1: 107})
    assert len(fired(catalog, subscription)) == 1
    fires_at = measure_own(catalog, 1).fires_at
    assert fires_at is not None
    feed(catalog, {1.5: fires_at * (1 + (1e-6 if beyond else -1e-6))})
    assert len(fired(catalog, subscription)) == 1 + beyond


def test_quote_that_ends_the_ladder_counts_before_its_evaluation(catalog: sa.Engine) -> None:
    add(catalog, UP_LADDER)
    feed(catalog, {0: 99, 1: 101})
    load(catalog, quote(98, 2))
    distance = measure_own(catalog, 2)
    assert (distance.fires_at, distance.is_step) == (100, False)


def test_paused_ladder_has_no_next_step(catalog: sa.Engine) -> None:
    subscription = add(catalog, UP_LADDER)
    feed(catalog, {0: 99, 1: 101})
    pause(catalog, get_subscription(catalog, subscription).user_id, subscription)
    distance = measure_own(catalog, 2)
    assert (distance.fires_at, distance.is_step) == (100, False)


def test_hundred_alerts_read_one_row_each_from_an_index(database: Database) -> None:
    """40 days of prices of 100 instruments, every ten minutes."""
    fill = """
      INSERT INTO exchanges (code, name, enabled) VALUES ('kraken', 'Kraken', true);
      INSERT INTO coins (code, name, position) SELECT 'C' || n, 'Coin ' || n, n FROM generate_series(1, 100) n;
      INSERT INTO instruments (exchange_id, base, quote, symbol)
        SELECT e.id, c.code, 'USD', c.code FROM exchanges e, coins c ORDER BY c.id;
      SELECT create_price_partitions('2026-01-20', '2026-03-02');
      INSERT INTO prices (instrument_id, observed_at, price, received_at)
        SELECT i.id, t, 100, t
        FROM generate_series('2026-01-20 12:00+00'::timestamptz, '2026-03-01 12:00+00', '10 minutes') t, instruments i;
      INSERT INTO latest_quotes (instrument_id, observed_at, price, received_at)
        SELECT id, '2026-03-01 12:00+00', 100, '2026-03-01 12:00+00' FROM instruments;
      VACUUM ANALYZE"""
    with psycopg.connect(database.url("admin"), autocommit=True) as filling:
        for command in fill.split(";"):
            filling.execute(command)
        instruments = [row[0] for row in filling.execute("SELECT id FROM instruments ORDER BY id").fetchall()]
    kinds = [
        Rule("crosses", 90),
        Rule("change_since_last", 5),
        Rule("change_over_window", 5, window_seconds=2_592_000),
        Rule("deviation_from_average", 5, window_seconds=3600),
    ]
    watched = [(instrument_id, kinds[number % 4]) for number, instrument_id in enumerate(instruments)]

    def measure_all(engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            found = measure_distances(connection, watched, at(1))
        assert [distance.is_true for distance in found] == [False] * 100

    with explain_engine(database.url("admin"), database.url("app")) as (engine, plans_of):
        plans = plans_of(lambda: measure_all(engine))
    read = {name: rows for name, rows in plans.rows.items() if name.startswith("prices_2")}
    assert not plans.sequentially_scanned & set(read)
    assert sum(read.values()) == 25 * (1 + 1 + 6)
    assert plans.rows["latest_quotes"] == 100
