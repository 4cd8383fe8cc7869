"""Rules on the index fire on what exchanges report, not on which of them respond; the backtest agrees."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts.backtest import PastAlert, backtest
from coinwatch.alerts.rules import Rule
from coinwatch.database import SQL_ROOT, transaction
from coinwatch.pipeline import store_alerts
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import list_watched_instruments, set_exchange_enabled
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.collection import hold_jumps
from coinwatch.prices.ingest.confirmation import confirm_quotes, list_unconfirmed_quotes
from coinwatch.prices.ingest.index import compute_index
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.settings import Settings
from coinwatch.status import pipeline_status
from tests.support.quotes import MONTH, at, load, quote
from tests.support.rules import fired, minutes
from tests.support.subscriptions import subscribe

EXCHANGES = ("kraken", "coinbase")
RULES = {
    "change_since_last": Rule("change_since_last", 1),
    "change_over_window": Rule("change_over_window", 1, window_seconds=180),
    "deviation_from_average": Rule("deviation_from_average", 1, window_seconds=180),
    "crosses": Rule("crosses", 100.5),
    "volume": Rule("change_since_last", 10, metric="volume_24h"),
}
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def add(engine: sa.Engine, rule: Rule, email: str = "ada@example.org") -> int:
    """Subscribe to the index of BTC/USD."""
    return subscribe(engine, email=email, coin="BTC", rule=rule, now=at(-1), confirmed=True).id


def run(engine: sa.Engine, settings: Settings, steps: Sequence[Mapping[str, float]], *, first: float = 0) -> None:
    """Per step, prices by exchange (also as volumes), the index and an evaluation; a step is 11 minutes long."""
    for number, prices in enumerate(steps):
        minute = first + 11 * number
        load(engine, *(quote(price, minute, code, volume_24h=price) for code, price in prices.items()), now=at(minute))
        compute_index(engine, settings, at(minute))
        store_alerts(engine, at(minute))


def collect(
    engine: sa.Engine, settings: Settings, minute: float, prices: Mapping[str, float], volume: float = 1000
) -> None:
    """A cycle as the DAG runs it, with prices by exchange."""
    for code, price in prices.items():
        with transaction(engine) as connection:
            ids = list_watched_instruments(connection, code)
        instrument = next(known for known in ids if known.pair == "BTC/USD")
        observed = replace(quote(price, minute, volume_24h=volume), instrument=instrument)
        accepted, _ = hold_jumps(engine, settings, ids, [observed], at(minute))
        load_quotes(engine, ids, accepted, now=at(minute), max_age=MONTH)
    confirm_quotes(engine, settings, at(minute))
    compute_index(engine, settings, at(minute))
    store_alerts(engine, at(minute))


def backtested(engine: sa.Engine, rule: Rule, steps: int) -> list[PastAlert]:
    return backtest(engine, rule, "BTC", start=at(-1), end=at(11 * steps)).alerts


@rules
def test_exchange_that_leaves_and_returns_fires_nothing(catalog: sa.Engine, settings: Settings, rule: Rule) -> None:
    subscription = add(catalog, rule)
    both, one, other = {"kraken": 99.0, "coinbase": 103.0}, {"kraken": 99.0}, {"coinbase": 103.0}
    steps = [both, both, one, one, both, other, other, both, one, both]
    run(catalog, settings, steps)
    assert fired(catalog, subscription) == []
    assert backtested(catalog, rule, len(steps)) == []


@pytest.mark.parametrize(
    "rule",
    [
        Rule("change_since_last", 1),
        Rule("change_over_window", 1, window_seconds=660),
        Rule("deviation_from_average", 1, window_seconds=720),
        Rule("crosses", 105.0),
    ],
    ids=lambda rule: rule.kind,
)
def test_backtest_on_minute_candles_uses_the_same_index(catalog: sa.Engine, settings: Settings, rule: Rule) -> None:
    both, one, other = {"kraken": 99.0, "coinbase": 103.0}, {"kraken": 99.0}, {"coinbase": 103.0}
    steps = [both, both, one, one, both, other, both, {"kraken": 106.0, "coinbase": 110.0}]
    yesterday = -30 * 60
    run(catalog, settings, steps, first=yesterday)
    refresh_candles(catalog)
    start, end = at(yesterday - 1), at(yesterday + 11 * len(steps))
    assert [alert.observed_at for alert in backtest(catalog, rule, "BTC", start=start, end=end).alerts] == [
        at(yesterday + 77)
    ]
    with transaction(catalog) as connection:
        dropped = connection.execute(sa.text("SELECT drop_price_partition('2026-02-28')")).scalar_one()
    past = backtest(catalog, rule, "BTC", start=start, end=end)
    assert (dropped, past.minutes_before is None) == ("dropped", False)
    assert [alert.observed_at for alert in past.alerts] == [at(yesterday + 78)], "the end of the minute"


def test_change_of_the_exchanges_in_both_values_fires_while_another_leaves(
    catalog: sa.Engine, settings: Settings
) -> None:
    subscription = add(catalog, Rule("change_since_last", 5))
    run(catalog, settings, [{"kraken": 100.0, "coinbase": 120.0}, {"kraken": 106.0}])
    assert minutes(fired(catalog, subscription)) == [11]
    with transaction(catalog) as connection:
        alert = connection.execute(sa.text("SELECT price, reference, change_percent FROM alerts")).one()
    assert tuple(alert) == (106, pytest.approx(100), pytest.approx(6)), "the reference is Kraken's last price"


@hypothesis_settings(max_examples=40)
@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from(EXCHANGES), st.sampled_from([95.0, 99.0, 100.0, 101.0, 106.0]), min_size=1),
        min_size=2,
        max_size=12,
    ),
    threshold=st.sampled_from([0.5, 2.0, 5.0]),
)
def test_alert_needs_an_exchange_whose_price_changed_that_much(
    catalog: sa.Engine, settings: Settings, steps: list[dict[str, float]], threshold: float
) -> None:
    with transaction(catalog) as connection:
        for table in (
            "alerts",
            "outbox",
            "subscriptions",
            "users",
            "evaluation_watermarks",
            "prices",
            "latest_quotes",
            "index_state",
            "index_divisors",
        ):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    rules = [
        Rule("change_since_last", threshold),
        Rule("change_over_window", threshold, window_seconds=660),
        Rule("deviation_from_average", threshold, window_seconds=1000),
        Rule("crosses", 100.0),
    ]
    subscriptions = [add(catalog, rule, f"r{number}@example.org") for number, rule in enumerate(rules)]
    run(catalog, settings, steps)
    for moment in minutes(fired(catalog, subscriptions[0])):
        number = round(moment / 11)
        changes = [
            abs(100 * (price / steps[number - 1][code] - 1))
            for code, price in steps[number].items()
            if code in steps[number - 1]
        ]
        assert max(changes) >= threshold * (1 - 1e-9)
    for rule, subscription in zip(rules, subscriptions, strict=True):
        past = backtested(catalog, rule, len(steps))
        assert [alert.observed_at for alert in past] == fired(catalog, subscription), rule


@pytest.mark.parametrize("code", ["index", "kraken"])
def test_bad_tick_of_the_only_exchange_fires_nothing(catalog: sa.Engine, settings: Settings, code: str) -> None:
    watched = None if code == "index" else code
    subscription = subscribe(
        catalog, email="ada@example.org", coin="BTC", exchange=watched, rule=Rule("change_since_last", 5), now=at(-1),
        confirmed=True,
    ).id  # fmt: skip
    for minute, price in enumerate([100.0, 100e6, 101.0, 102.0]):
        collect(catalog, settings, minute, {"kraken": price})
    [waiting] = list_unconfirmed_quotes(catalog, at(0))
    assert (waiting.exchange, waiting.price, waiting.reference, waiting.rejected_at) == ("kraken", 100e6, 100, None)
    collect(catalog, settings, 13, {"kraken": 102.0})
    [rejected] = list_unconfirmed_quotes(catalog, at(0))
    assert rejected.rejected_at == at(13)
    [problem] = pipeline_status(catalog, at(14)).price_problems
    assert "kraken BTC/USD jumped from 100" in problem
    assert fired(catalog, subscription) == []


def test_jump_fires_at_its_own_time_once_the_next_quote_confirms_it(catalog: sa.Engine, settings: Settings) -> None:
    on_kraken = subscribe(
        catalog, email="ada@example.org", coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1),
        confirmed=True,
    ).id  # fmt: skip
    on_index = add(catalog, Rule(threshold=5))
    collect(catalog, settings, 0, {"kraken": 100.0})
    collect(catalog, settings, 1, {"kraken": 150.0})
    assert (fired(catalog, on_kraken), fired(catalog, on_index)) == ([], [])
    collect(catalog, settings, 2, {"kraken": 151.0})
    assert minutes(fired(catalog, on_kraken)) == [1]
    assert minutes(fired(catalog, on_index)) == [2], "the index has no value of minute 1"
    assert list_unconfirmed_quotes(catalog, at(0)) == []


def test_jump_that_another_exchange_shows_fires_in_the_same_cycle(catalog: sa.Engine, settings: Settings) -> None:
    subscription = add(catalog, Rule(threshold=5))
    collect(catalog, settings, 0, {"kraken": 100.0, "coinbase": 101.0})
    collect(catalog, settings, 1, {"kraken": 60.0, "coinbase": 61.0})
    assert minutes(fired(catalog, subscription)) == [1]


def test_jump_confirmed_after_a_newer_quote_was_evaluated_is_late(catalog: sa.Engine, settings: Settings) -> None:
    subscription = subscribe(
        catalog, email="ada@example.org", coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1),
        confirmed=True,
    ).id  # fmt: skip
    collect(catalog, settings, 0, {"kraken": 100.0, "coinbase": 100.0})
    collect(catalog, settings, 1, {"kraken": 60.0})
    collect(catalog, settings, 2, {"kraken": 99.0})
    collect(catalog, settings, 3, {"coinbase": 61.0})
    with transaction(catalog) as connection:
        query = "SELECT price FROM price_history WHERE exchange = 'kraken' ORDER BY observed_at"
        assert list(connection.execute(sa.text(query)).scalars()) == [100, 60, 99], "stored, as it was real"
    assert fired(catalog, subscription) == []


@rules
def test_first_real_exchange_after_demo_prices_fires_nothing(
    catalog: sa.Engine, settings: Settings, rule: Rule
) -> None:
    for code in EXCHANGES:
        set_exchange_enabled(catalog, code, False)
    set_exchange_enabled(catalog, "binance", False)
    subscription = add(catalog, rule)
    for minute in range(0, 9, 3):
        load(catalog, quote(99, minute, "coinnews", volume_24h=500.0))
        compute_index(catalog, settings, at(minute))
        store_alerts(catalog, at(minute))
    set_exchange_enabled(catalog, "kraken", True)
    for minute in range(9, 18, 3):
        load(catalog, quote(134, minute, volume_24h=9000.0), quote(99, minute, "coinnews"))
        compute_index(catalog, settings, at(minute))
        store_alerts(catalog, at(minute))
    assert fired(catalog, subscription) == []
    [price] = read_latest_prices(catalog, at(18), "BTC", "index")
    assert (price.price, price.simulated) == (134, False)


@pytest.mark.parametrize("exchange", [None, "kraken"], ids=["index", "exchange"])
def test_single_volume_in_another_unit_fires_nothing(
    catalog: sa.Engine, settings: Settings, exchange: str | None
) -> None:
    rule = Rule("change_since_last", 50, metric="volume_24h")
    subscription = subscribe(
        catalog, email="ada@example.org", coin="BTC", exchange=exchange, rule=rule, now=at(-1), confirmed=True
    ).id
    for minute, volume in enumerate([1000.0, 100e6, 1010.0, 1020.0]):
        collect(catalog, settings, minute, {"kraken": 100_000.0}, volume)
    assert fired(catalog, subscription) == []
    for minute in (4, 5):
        collect(catalog, settings, minute, {"kraken": 100_000.0}, 200_000.0)
    assert minutes(fired(catalog, subscription)) == [5], "it stays: the second one counts"


@pytest.mark.parametrize("rule", [RULES["change_since_last"], RULES["volume"]], ids=["price", "volume"])
def test_first_index_value_after_an_upgrade_fires_nothing(catalog: sa.Engine, settings: Settings, rule: Rule) -> None:
    """The version before counted aggregators and did not store what it counted."""
    subscription = add(catalog, rule)
    load(catalog, quote(120, 0, "index", volume_24h=411_000.0))
    store_alerts(catalog, at(0))
    with transaction(catalog) as connection:
        seed = SQL_ROOT / "migrations" / "versions" / "0012_chain_existing_index.sql"
        connection.exec_driver_sql(seed.read_text(encoding="utf-8"))
    for minute in (3, 6):
        load(catalog, quote(100, minute, volume_24h=11_000.0))
        compute_index(catalog, settings, at(minute))
        store_alerts(catalog, at(minute))
    assert fired(catalog, subscription) == []
