"""Data quality checks report problems and nothing else."""

from datetime import timedelta
from threading import Timer

import pytest
import sqlalchemy as sa

from coinwatch.database import create_engine, statement, transaction
from coinwatch.errors import DatabaseError
from coinwatch.exchanges.models import Candle, Quote
from coinwatch.pipeline import wait_for_collection
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import Source, StoredCandle, store_candles
from coinwatch.prices.catalog import find_instrument, set_exchange_enabled, sync_catalog
from coinwatch.prices.ingest.data_quality import (
    CHECKS,
    check_candles,
    check_disagreement,
    check_frozen_prices,
    check_missing_volumes,
    check_stale_prices,
    collection_is_overdue,
)
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from tests.support.quotes import at, load, quote
from tests.support.settings import EXCHANGES, exchange, make_settings

DAY = 24 * 60


def record_fetch(engine: sa.Engine, code: str, minutes: float, *, failures: int = 0, error: str | None = None) -> None:
    """Record a fetch from the exchange at that minute, and ``failures`` failed ones after it."""
    with transaction(engine) as connection:
        parameters = {
            "exchange_id": connection.execute(
                sa.text("SELECT id FROM exchanges WHERE code = :c"), {"c": code}
            ).scalar(),
            "now": at(minutes),
        }
        connection.execute(statement("prices/ingest/record_fetch_success"), {**parameters, "fetch_seconds": 0.1})
        for _ in range(failures):
            connection.execute(
                statement("prices/ingest/record_fetch_failure"), {**parameters, "blocked_until": None, "error": error}
            )


def pause(engine: sa.Engine, code: str, until: float) -> None:
    with transaction(engine) as connection:
        update = (
            "UPDATE exchange_status SET blocked_until = :until"
            " WHERE exchange_id = (SELECT id FROM exchanges WHERE code = :code)"
        )
        connection.execute(sa.text(update), {"until": at(until), "code": code})


def only(engine: sa.Engine, *codes: str) -> None:
    for code in EXCHANGES:
        set_exchange_enabled(engine, code, code in codes)


def test_instrument_is_stale_after_three_cycles(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken")
    record_fetch(catalog, "kraken", 60)
    load(catalog, quote(100, 51), quote(10, 60, pair="ETH/USD"))
    compute_index(catalog, settings, at(60))
    assert check_stale_prices(catalog, settings, at(60)) == []
    [finding] = check_stale_prices(catalog, settings, at(60.1))
    assert finding.startswith("kraken BTC/USD: no price since 12:51:00 UTC (9 min ago)")
    assert "every 3 minutes" in finding


def test_stale_exchange_is_a_single_finding_with_its_last_error(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken")
    load(catalog, quote(100, 0), quote(10, 2, pair="ETH/USD"))
    record_fetch(catalog, "kraken", 2, failures=3, error="answered with status 500")
    [finding] = check_stale_prices(catalog, settings, at(DAY))
    assert finding.startswith("kraken: no price of any of its 2 instruments since 2026-03-01 12:02:00 UTC (23 h ago)")
    assert finding.endswith("status 500")


def test_first_failures_after_a_pause_are_not_stale(catalog: sa.Engine, settings: Settings) -> None:
    """The network of a laptop that wakes up may take a moment."""
    only(catalog, "kraken")
    load(catalog, quote(100, 0), quote(10, 0, pair="ETH/USD"))
    for failures in (1, 2):
        record_fetch(catalog, "kraken", 60, failures=failures, error="no network")
        assert check_stale_prices(catalog, settings, at(61)) == []
    record_fetch(catalog, "kraken", 60, failures=3, error="no network")
    assert len(check_stale_prices(catalog, settings, at(61))) == 1
    record_fetch(catalog, "kraken", 60, failures=1, error="no network")
    assert len(check_stale_prices(catalog, settings, at(70))) == 1, "nobody has tried again"


def test_collection_is_overdue_until_every_exchange_is_fetched_again(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken", "coinbase")
    assert not collection_is_overdue(catalog, settings, at(0)), "a new installation"
    for code in ("kraken", "coinbase"):
        record_fetch(catalog, code, 0)
    assert not collection_is_overdue(catalog, settings, at(9))
    assert collection_is_overdue(catalog, settings, at(30))
    record_fetch(catalog, "kraken", 30)
    assert collection_is_overdue(catalog, settings, at(30))
    record_fetch(catalog, "coinbase", 30, failures=1)
    assert not collection_is_overdue(catalog, settings, at(30))
    pause(catalog, "coinbase", until=120)
    record_fetch(catalog, "kraken", 90)
    assert not collection_is_overdue(catalog, settings, at(90)), "a rate-limited exchange is not fetched"


def test_check_waits_for_the_first_cycle_after_a_start(catalog: sa.Engine, settings: Settings) -> None:
    """Stopped for half an hour; the check and the first cycle start at the same time."""
    only(catalog, "kraken")
    record_fetch(catalog, "kraken", 0)
    load(catalog, quote(100, 0), quote(10, 0, pair="ETH/USD"))

    def collect() -> None:
        load(catalog, quote(100, 30), quote(10, 30, pair="ETH/USD"))
        record_fetch(catalog, "kraken", 30)

    cycle = Timer(0.5, collect)
    cycle.start()
    wait_for_collection(catalog, settings, clock=lambda: at(30), seconds=20)
    assert check_stale_prices(catalog, settings, at(30)) == []
    cycle.join()


def test_check_reports_a_collection_that_does_not_start(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken")
    record_fetch(catalog, "kraken", 0)
    load(catalog, quote(100, 0), quote(10, 0, pair="ETH/USD"))
    wait_for_collection(catalog, settings, clock=lambda: at(30), seconds=0)
    assert len(check_stale_prices(catalog, settings, at(30))) == 1


def test_instrument_without_prices_is_stale_after_the_first_fetch(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken")
    assert check_stale_prices(catalog, settings, at(0)) == [], "no findings on a new installation"
    record_fetch(catalog, "kraken", 0)
    load(catalog, quote(100, 0))
    [finding] = check_stale_prices(catalog, settings, at(0))
    assert finding.startswith("kraken ETH/USD: no price so far")


def test_disabled_or_rate_limited_exchanges_are_not_stale(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100, 0), quote(100, 0, "coinbase"))
    record_fetch(catalog, "kraken", 0)
    record_fetch(catalog, "coinbase", 0)
    set_exchange_enabled(catalog, "coinbase", False)
    pause(catalog, "kraken", 121)
    assert check_stale_prices(catalog, settings, at(120)) == []
    assert len(check_stale_prices(catalog, settings, at(121))) == 1


@pytest.mark.parametrize(
    ("schedule", "interval", "due"), [(3, None, 6), (3, 60, 3), (15, None, 15), (3, 370, 6), (3, 380, 9)]
)
def test_staleness_respects_the_minimum_interval_of_an_exchange(
    engine: sa.Engine, schedule: float, interval: float | None, due: float
) -> None:
    """With a minimum interval of 5 minutes and cycles of 3, CoinGecko is fetched every other cycle."""
    coingecko = exchange("CoinGecko", "BTC/USD", minimum_interval_seconds=interval, base_url="http://127.0.0.1:1")
    settings = make_settings(exchanges={"coingecko": coingecko}, collect_schedule_minutes=schedule)
    sync_catalog(engine, settings)
    record_fetch(engine, "coingecko", 0)
    load(engine, quote(100, 0, "coingecko"))
    compute_index(engine, settings, at(0))
    assert check_stale_prices(engine, settings, at(3 * due)) == []
    [finding] = check_stale_prices(engine, settings, at(3 * due + 0.1))
    assert f"one is due every {due} minutes" in finding


def test_index_is_stale_only_if_there_are_newer_prices(catalog: sa.Engine, settings: Settings) -> None:
    only(catalog, "kraken")
    record_fetch(catalog, "kraken", 0)
    load(catalog, quote(100, 0), quote(10, 0, pair="ETH/USD"))
    compute_index(catalog, settings, at(0))
    load(catalog, quote(100, 20), quote(10, 20, pair="ETH/USD"))
    assert check_stale_prices(catalog, settings, at(21)) == [], "the current cycle may not be finished"
    findings = check_stale_prices(catalog, settings, at(24))
    assert [finding.split(":")[0] for finding in findings] == ["index BTC/USD", "index ETH/USD"]
    compute_index(catalog, settings, at(24))
    assert check_stale_prices(catalog, settings, at(24)) == []


def test_exchange_far_from_the_median_is_reported(catalog: sa.Engine, settings: Settings) -> None:
    prices = (quote(61000.5, 0, "coinbase"), quote(61040.1, 1, "binance", "BTC/USDT"), quote(64213.5, 3.1666667))
    load(catalog, *prices, quote(7, 3, "coinnews"))
    [finding] = check_disagreement(catalog, settings, at(4))
    assert finding.startswith("kraken BTC/USD")
    for detail in ("64,213.50", "5.2% above", "61,040.10", "3 exchanges", "12:03:10 UTC"):
        assert detail in finding
    tolerant = settings.model_copy(update={"quality_disagreement_percent": 5.3})
    assert check_disagreement(catalog, tolerant, at(4)) == []
    assert check_disagreement(catalog, settings, at(13.5)) == [], "old prices are not compared"


def test_price_that_does_not_count_in_the_index_is_named(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0), quote(1.0, 0, "coinbase"))
    [finding] = check_disagreement(catalog, settings, at(1))
    assert finding.endswith("Not in the index: coinbase and kraken."), "it is unclear which of the two is wrong"
    load(catalog, quote(96_000.0, 0, "binance", "BTC/USDT"), quote(101.0, 0.5), quote(100.0, 0.5, "coinbase"))
    [finding] = check_disagreement(catalog, settings, at(1))
    assert finding.startswith("binance BTC/USDT")
    assert "index" not in finding, "it is the only price of the USDT index"


def test_both_of_two_disagreeing_exchanges_are_named(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100, 0), quote(103.0, 0, "coinbase"), quote(10, 0, pair="ETH/USD"))
    assert check_disagreement(catalog, settings, at(1)) == []
    load(catalog, quote(103.1, 1, "coinbase"), quote(0.02, 1, "coinbase", "ETH/USD"))
    btc, eth = check_disagreement(catalog, settings, at(1))
    for detail in ("coinbase BTC/USD at 103.10", "12:01:00 UTC", "kraken BTC/USD at 100.00", "12:00:00 UTC", "3.05%"):
        assert detail in btc
    assert "199.2" in eth


def test_currency_with_three_exchanges_is_compared_only_with_itself(engine: sa.Engine) -> None:
    """USD and USDT can diverge without any exchange being wrong."""
    names = ("kraken", "coinbase", "binance")
    settings = make_settings(
        exchanges={code: exchange(code, "BTC/USD", "BTC/USDT", base_url="http://127.0.0.1:1") for code in names}
    )
    sync_catalog(engine, settings)
    load(engine, *(quote(100 + n, 0, code) for n, code in enumerate(names)))
    load(engine, *(quote(90 + n, 0, code, "BTC/USDT") for n, code in enumerate(names)))
    assert check_disagreement(engine, settings, at(1)) == []


def moving(exchange: str, pair: str = "BTC/USD", price: float = 100, upto: int = 60) -> list[Quote]:
    return [quote(price * (1 + 0.001 * (minute % 9)), minute, exchange, pair) for minute in range(0, upto + 1, 3)]


def test_price_that_stays_constant_while_others_move_is_frozen(catalog: sa.Engine, settings: Settings) -> None:
    frozen = [quote(99.5, minute) for minute in range(0, 61, 3)]
    load(catalog, *frozen, *moving("coinbase"), *moving("binance", "BTC/USDT"))
    [finding] = check_frozen_prices(catalog, settings, at(60))
    assert finding.startswith("kraken BTC/USD: 99.50 in all 20 quotes")
    for detail in ("13:00:00 UTC", "2 others", "0.6%"):
        assert detail in finding
    load(catalog, quote(99.6, 61), now=at(61))
    assert check_frozen_prices(catalog, settings, at(61)) == [], "a single change is enough"


def test_price_is_not_frozen_if_no_other_moves_or_quotes_are_few(catalog: sa.Engine, settings: Settings) -> None:
    constant = [quote(1.0, minute, code) for minute in range(0, 61, 3) for code in ("kraken", "coinbase")]
    load(catalog, *constant, *moving("coinnews"))
    assert check_frozen_prices(catalog, settings, at(60)) == [], "simulated prices are not compared with real ones"
    eth = [quote(10, minute, pair="ETH/USD") for minute in (0.5, 60)]
    load(catalog, *eth, *moving("coinbase", "ETH/USD"), now=at(61))
    assert check_frozen_prices(catalog, settings, at(60)) == []


def test_hourly_schedule_is_checked_over_a_longer_period(catalog: sa.Engine) -> None:
    hourly = make_settings(collect_schedule_minutes=60)
    load(
        catalog,
        *(quote(99, 60 * hour) for hour in range(4)),
        *(quote(90 + hour, 60 * hour, "coinbase") for hour in range(4)),
    )
    [finding] = check_frozen_prices(catalog, hourly, at(181))
    assert "in all 4 quotes of the last 4 hours" in finding


@pytest.mark.parametrize(("volume", "word"), [({"volume_24h": 0.0}, "zero"), ({}, "missing")])
def test_missing_volume_is_reported_for_a_day(
    catalog: sa.Engine, settings: Settings, volume: dict[str, float], word: str
) -> None:
    load(catalog, quote(100, 0, volume_24h=1234.5), quote(100, 0, "coinbase", volume_24h=5.0), quote(9, 0, "coinnews"))
    load(catalog, quote(100, 3, **volume), quote(100, 3, "coinbase", volume_24h=4.0), quote(9, 3, "coinnews"))
    [finding] = check_missing_volumes(catalog, settings, at(4))
    assert finding.startswith(f"kraken BTC/USD: the 24 h volume is {word}")
    for detail in ("12:03:00 UTC", "12:00:00 UTC", "1,234 BTC"):
        assert detail in finding
    assert check_missing_volumes(catalog, settings, at(DAY + 1)) == []


@pytest.mark.parametrize(("source", "factor"), [("exchange", 1e6), ("quotes", 1 / 200)])
def test_candle_a_hundredfold_off_is_reported_whatever_its_source(
    catalog: sa.Engine, settings: Settings, source: Source, factor: float
) -> None:
    with transaction(catalog) as connection:
        btc = find_instrument(connection, "BTC", "kraken").instrument_id
    prices = [100.0 * (factor if hour == 5 else 1) for hour in range(10)]
    rows = [Candle(at(60 * hour), price, price, price, price) for hour, price in enumerate(prices)]
    store_candles(catalog, "1h", [StoredCandle(btc, candle, source=source) for candle in rows])
    [finding] = check_candles(catalog, settings, at(600))
    assert finding.startswith("kraken BTC/USD: an hourly candle of the last day is a 100-fold price jump")
    assert "1 of 10" in finding
    assert f"{at(300):%Y-%m-%dT%H:%M}" in finding
    assert check_candles(catalog, settings, at(600 + 2 * DAY)) == []


def test_candle_of_the_current_hour_is_no_finding_but_one_of_the_future_is(
    catalog: sa.Engine, settings: Settings
) -> None:
    load(catalog, *(quote(100, minute) for minute in range(0, 130, 10)))
    refresh_candles(catalog)
    assert check_candles(catalog, settings, at(125)) == []
    [finding] = check_candles(catalog, settings, at(50))
    assert "is not complete yet" in finding


@pytest.mark.parametrize("name", CHECKS)
def test_checks_read_only_recent_partitions(name: str, catalog: sa.Engine, settings: Settings) -> None:
    """Of ten stored days, at most the last two are in the plan."""
    load(catalog, *(quote(100, DAY * day) for day in range(10)), now=at(10 * DAY))
    plans: list[str] = []

    def explain(
        connection: sa.Connection, clause: sa.TextClause, _: object, parameters: dict[str, object], options: object
    ) -> None:
        if clause.text.startswith("-- "):
            rows = connection.execute(sa.text("EXPLAIN (COSTS OFF) " + clause.text), parameters)
            plans.append("\n".join(rows.scalars()))

    sa.event.listen(catalog, "before_execute", explain)
    CHECKS[name](catalog, settings, at(9 * DAY + 1))
    used = {word for plan in plans for word in plan.split() if word.startswith("prices_2026") and word.count("_") == 1}
    assert used <= {"prices_20260309", "prices_20260310"}
    assert bool(used) is (name in {"disagreement", "frozen", "volume"})


@pytest.mark.parametrize("name", CHECKS)
def test_unavailable_database_is_an_error_and_not_a_finding(name: str, settings: Settings) -> None:
    with pytest.raises(DatabaseError):
        CHECKS[name](create_engine("postgresql://someone:hush@127.0.0.1:1/coinwatch"), settings, at(0))


@pytest.mark.parametrize("name", CHECKS)
def test_empty_database_has_no_findings(name: str, engine: sa.Engine, settings: Settings) -> None:
    assert CHECKS[name](engine, settings, at(0) + timedelta(days=1)) == []
