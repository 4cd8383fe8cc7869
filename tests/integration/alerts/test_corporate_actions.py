"""Redenominations and reused tickers restate prices, candles and rules once, and fire nothing."""

from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.coin_settings import CoinSettings
from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.pipeline import apply_corporate_actions, store_alerts
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import find_instrument, list_watched_instruments, sync_catalog
from coinwatch.prices.corporate_actions import Restatement
from coinwatch.prices.ingest.confirmation import confirm_quotes, hold_jumps
from coinwatch.prices.ingest.index import compute_index
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.settings import Settings
from tests.support.backfill import all_candles
from tests.support.quotes import MONTH, at, load, quote
from tests.support.settings import COINS, make_settings
from tests.support.subscriptions import subscribe

SWITCH = 10.5  # minutes after START
RULES = [
    Rule("change_since_last", 5),
    Rule("change_over_window", 5, window_seconds=600),
    Rule("deviation_from_average", 5, window_seconds=600),
    Rule("crosses", 150.0),
    Rule("crosses", 50.0),
    Rule("change_since_last", 5, metric="volume_24h"),
]


@pytest.fixture
def btc(catalog: sa.Engine) -> int:
    """The id of Kraken's BTC/USD."""
    with transaction(catalog) as connection:
        return find_instrument(connection, "BTC", "kraken").instrument_id


def with_action(engine: sa.Engine, **action: Any) -> Settings:
    """The configuration with a corporate action of BTC."""
    actions = [{"effective_at": at(SWITCH), **action}]
    settings = make_settings(coins={**COINS, "BTC": {**COINS["BTC"], "corporate_actions": actions}})
    sync_catalog(engine, settings)
    return settings


def cycle(engine: sa.Engine, settings: Settings, minute: float, price: float, volume: float) -> None:
    apply_corporate_actions(engine, settings, at(minute))
    with transaction(engine) as connection:
        ids = list_watched_instruments(connection, "kraken")
    instrument = next(known for known in ids if known.pair == "BTC/USD")
    observed = quote(price, minute, volume_24h=volume)
    quotes = [type(observed)(instrument, price, observed.observed_at, observed.received_at, volume)]
    quotes = Restatement(engine).quotes((each, ids[each.instrument]) for each in quotes)
    accepted, _ = hold_jumps(engine, settings, ids, quotes, at(minute))
    load_quotes(engine, ids, accepted, now=at(minute), max_age=MONTH)
    confirm_quotes(engine, settings, at(minute))
    compute_index(engine, settings, at(minute))
    refresh_candles(engine)
    store_alerts(engine, at(minute))


def values(engine: sa.Engine, query: str) -> list[Any]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def history(engine: sa.Engine, exchange: str) -> list[float]:
    query = f"SELECT price FROM price_history WHERE exchange = '{exchange}' AND base = 'BTC' ORDER BY observed_at"
    return [row[0] for row in values(engine, query)]


def subscribe_to_all(engine: sa.Engine) -> None:
    for exchange in ("kraken", None):
        for number, rule in enumerate(RULES):
            email = f"{exchange}{number}@example.org"
            subscribe(engine, email=email, coin="BTC", exchange=exchange, rule=rule, now=at(-1), confirmed=True)


def test_redenomination_restates_everything_and_fires_nothing(catalog: sa.Engine) -> None:
    settings = with_action(catalog, old_per_new=1000)
    subscribe_to_all(catalog)
    for minute in range(9):
        cycle(catalog, settings, minute, 100.0, 5000.0)
    for minute in range(11, 20):
        cycle(catalog, settings, minute, 100_000.0, 5.0)
    assert values(catalog, "SELECT count(*) FROM alerts") == [(0,)]
    assert set(history(catalog, "kraken")) == set(history(catalog, "index")) == {100_000.0}
    assert values(catalog, "SELECT DISTINCT open, high, low, close FROM candles") == [(100_000.0,) * 4]
    assert values(catalog, "SELECT DISTINCT volume_24h FROM prices") == [(5.0,)]
    levels = "SELECT DISTINCT threshold FROM subscriptions WHERE kind = 'crosses' ORDER BY 1"
    assert values(catalog, levels) == [(50_000.0,), (150_000.0,)]
    assert apply_corporate_actions(catalog, settings, at(30)) == 0, "it is applied once"
    cycle(catalog, settings, 21, 151_000.0, 5.0)
    cycle(catalog, settings, 22, 151_000.0, 5.0)
    assert values(catalog, "SELECT count(*) > 0 FROM alerts") == [(True,)], "the rules still work"


def test_redenomination_configured_while_the_first_new_price_waits_fires_nothing(catalog: sa.Engine) -> None:
    before = with_action(catalog, old_per_new=1000, exchange="coinbase")
    subscribe_to_all(catalog)
    cycle(catalog, before, 9, 100.0, 5000.0)
    cycle(catalog, before, 11, 100_000.0, 5.0)
    after = with_action(catalog, old_per_new=1000)
    cycle(catalog, after, 12, 100_000.0, 5.0)
    assert history(catalog, "kraken") == [100_000.0] * 3
    assert values(catalog, "SELECT count(*) FROM alerts") == [(0,)]


@pytest.mark.parametrize("exchange", [None, "kraken"])
def test_candles_of_the_index_follow_a_redenomination_whether_fetched_before_or_after(
    catalog: sa.Engine, btc: int, exchange: str | None
) -> None:
    settings = with_action(catalog, old_per_new=1000, exchange=exchange)
    with transaction(catalog) as connection:
        coinbase = find_instrument(connection, "BTC", "coinbase").instrument_id
    kept = [
        StoredCandle(number, Candle(at(minute), price, price + 1, price - 1, price, minute / 7))
        for number, price in ((btc, 100.1), (coinbase, 103.3 if exchange is None else 103_300.0))
        for minute in (*range(-1500, -1440), *range(-70, 10))
    ]

    def fetch() -> None:
        restatement = Restatement(catalog)
        store_candles(catalog, "1m", restatement.candles("1m", kept))
        refresh_candles(catalog)

    def act() -> None:
        apply_corporate_actions(catalog, settings, at(11))
        refresh_candles(catalog)

    tables = []
    for steps in ((fetch, act), (act, fetch)):
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "corporate_actions"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        for step in steps:
            step()
        tables.append(all_candles(catalog))
    assert tables[0] == tables[1]
    index = values(catalog, "SELECT DISTINCT close FROM candle_history WHERE exchange = 'index' AND resolution = '1m'")
    assert index == [(pytest.approx(101_700.0),)]


def test_data_from_before_a_redenomination_is_restated_when_it_arrives_later(catalog: sa.Engine, btc: int) -> None:
    settings = with_action(catalog, old_per_new=1000)
    apply_corporate_actions(catalog, settings, at(11))
    candles = [StoredCandle(btc, Candle(at(minute), 100, 101, 99, 100, 7000.0, 3)) for minute in (9, 10, 11)]
    store_candles(catalog, "1m", Restatement(catalog).candles("1m", candles))
    rows = values(catalog, "SELECT opened_at, open, high, low, close, volume, trades FROM candles ORDER BY 1")
    assert rows == [
        (at(9), 100_000, 101_000, 99_000, 100_000, 7.0, 3),
        (at(11), 100, 101, 99, 100, 7000.0, 3),
    ], "the minute of the switch has prices in both units"


def test_action_on_one_exchange_leaves_the_index_alone(catalog: sa.Engine) -> None:
    settings = with_action(catalog, old_per_new=1000, exchange="kraken")
    subscribe(catalog, email="ada@example.org", coin="BTC", rule=RULES[0], now=at(-1), confirmed=True)
    load(catalog, quote(100, 9, "coinbase"))
    cycle(catalog, settings, 9, 100.0, 1.0)
    load(catalog, quote(101, 11, "coinbase"))
    cycle(catalog, settings, 11, 100_000.0, 1.0)
    assert history(catalog, "index") == [100, 101], "Kraken's price is too far off the others to count"
    assert values(catalog, "SELECT count(*) FROM alerts") == [(0,)]


@pytest.mark.parametrize("configured_at", [9, 12], ids=["in advance", "afterward"])
def test_reused_ticker_starts_a_new_history_and_fires_nothing(catalog: sa.Engine, configured_at: float) -> None:
    unknown = with_action(catalog, new_coin=True, exchange="coinbase")
    subscribe_to_all(catalog)
    for minute, price in ((8, 80.0), (9, 81.0), (11, 5.0), (12, 5.0), (13, 5.1)):
        settings = with_action(catalog, new_coin=True) if minute >= configured_at else unknown
        late = configured_at > SWITCH
        if late and minute == 11:
            store = [quote(price, minute, volume_24h=5000.0)]
            load(catalog, *store)
            continue
        cycle(catalog, settings, minute, price, 5000.0)
    assert history(catalog, "kraken") == [5.0, 5.0, 5.1]
    assert values(catalog, "SELECT count(*) FROM alerts") == [(0,)]
    archived = (
        "SELECT price FROM price_history WHERE base = 'BTC.20260301' AND exchange = 'kraken' ORDER BY observed_at"
    )
    assert values(catalog, archived) == [(80.0,), (81.0,)]
    with transaction(catalog) as connection:
        assert find_instrument(connection, "BTC.20260301", "kraken").pair == "BTC.20260301/USD"
    cycle(catalog, settings, 14, 5.5, 5000.0)
    assert values(catalog, "SELECT count(*) > 0 FROM alerts") == [(True,)], "the rules follow the ticker"


@pytest.mark.parametrize(
    "action",
    [
        {"old_per_new": 1000, "new_coin": True},
        {},
        {"old_per_new": 0},
        {"new_coin": True, "effective_at": "2026-01-01T00:00:00"},
    ],
)
def test_invalid_action_is_rejected(action: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"old_per_new|effective_at"):
        CoinSettings.model_validate(
            {"name": "Bitcoin", "corporate_actions": [{"effective_at": "2026-12-01T08:00:00Z", **action}]}
        )
