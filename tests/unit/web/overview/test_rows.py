"""What the overview computes from prices: volumes, changes, rates, sparklines, exchanges without prices."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.prices.history.markets import MarketPrice
from coinwatch.status import ExchangeHealth
from coinwatch.web.overview.exchange_problems import find_problems
from coinwatch.web.overview.histories import CoinHistory
from coinwatch.web.overview.positions import Position
from coinwatch.web.overview.rates import find_rates
from coinwatch.web.overview.rows import build_rows, traded_volume
from coinwatch.web.overview.sorting import matches, sort_rows
from coinwatch.web.overview.sparklines import HEIGHT, WIDTH, sparkline_path

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAX_AGE = timedelta(minutes=9)


def market(
    exchange: str,
    pair: str = "BTC/USD",
    price: float = 100.0,
    *,
    volume: float | None = None,
    age: timedelta = timedelta(),
    simulated: bool = False,
    aggregator: bool = False,
    number: int = 1,
    divisor: float = 1.0,
) -> MarketPrice:
    base, quote = pair.split("/")
    observed_at = NOW - age
    return MarketPrice(
        instrument_id=number,
        exchange=exchange,
        exchange_name=exchange.title(),
        base=base,
        coin_name={"BTC": "Bitcoin"}.get(base, base),
        quote=quote,
        price=price,
        divisor=divisor,
        volume_24h=volume,
        bid=None,
        ask=None,
        observed_at=observed_at,
        received_at=observed_at,
        simulated=simulated,
        aggregator=aggregator,
    )


def history(hour: float | None, day: float | None, week: float | None, divisor: float = 1.0) -> CoinHistory:
    return CoinHistory({"1h": hour, "24h": day, "7d": week}, "M0 1l1 1", divisor)


def health(code: str, *, failures: int = 0, enabled: bool = True, blocked: timedelta | None = None) -> ExchangeHealth:
    blocked_until = None if blocked is None else NOW + blocked
    return ExchangeHealth(code, code.title(), enabled, None, failures, blocked_until, "secret-host is down")


def test_volume_counts_each_pair_of_each_exchange_once() -> None:
    markets = [
        market("index", volume=999.0),
        market("kraken", volume=3.0),
        market("kraken", "BTC/EUR", volume=2.0),
        market("coinbase", volume=5.0),
        market("coingecko", volume=500.0, aggregator=True),
        market("coinnews", volume=70.0, simulated=True),
        market("binance", volume=11.0, age=timedelta(days=2)),
        market("bitstamp"),
    ]
    assert traded_volume(markets, NOW) == 10.0


def test_volume_of_aggregators_counts_only_without_that_of_an_exchange() -> None:
    aggregators = [market("coingecko", volume=500.0, aggregator=True), market("other", volume=400.0, aggregator=True)]
    assert traded_volume([market("index"), market("kraken"), *aggregators], NOW) == 500.0
    assert traded_volume([market("index", volume=1.0), market("kraken")], NOW) is None


def test_simulated_volume_counts_only_for_simulated_coins() -> None:
    markets = [market("index", simulated=True), market("coinnews", volume=70.0, simulated=True)]
    assert traded_volume(markets, NOW) == 70.0


def test_row_has_changes_volume_in_the_quote_currency_and_exchanges() -> None:
    markets = [market("index", price=110.0), market("kraken", volume=2.0), market("kraken", "BTC/EUR", number=2)]
    [row] = build_rows(markets, {1: history(100.0, 220.0, None)}, NOW)
    assert row.changes_percent == {"1h": pytest.approx(10.0), "24h": pytest.approx(-50.0), "7d": None}
    assert row.volume_24h == 220.0
    assert row.exchanges == 1
    assert (row.price, row.quote, row.exchange) == (110.0, "USD", "index")


def test_change_over_a_window_that_began_after_the_newest_price_is_unknown() -> None:
    [row] = build_rows([market("kraken", age=timedelta(hours=2))], {1: history(100.0, 50.0, 50.0)}, NOW)
    assert row.changes_percent == {"1h": None, "24h": 100.0, "7d": 100.0}


def test_changes_of_an_index_are_those_over_the_same_exchanges() -> None:
    """An exchange came: the index went from 100 to 110, its divisor from 1 to 1.1; the market didn't move."""
    [row] = build_rows([market("index", price=110.0, divisor=1.1)], {1: history(100.0, 100.0, 100.0)}, NOW)
    assert row.changes_percent == {name: pytest.approx(0.0) for name in ("1h", "24h", "7d")}


def test_rates_come_from_recorded_prices() -> None:
    prices = [
        market("index", "BTC/USD", 99_000.0),
        market("kraken", "BTC/EUR", 90_000.0),
        market("kraken", "BTC/USDT", 99_100.0),
        market("index", "ETH/USD", 3300.0),
        market("kraken", "ETH/GBP", 3000.0, age=timedelta(days=2)),
        market("kraken", "SOL/BTC", 0.002),
    ]
    rates = {rate.currency: rate.usd for rate in find_rates(prices, NOW)}
    assert rates == {"BTC": 99_000.0, "ETH": 3300.0, "EUR": pytest.approx(1.1)}


def test_rates_of_simulated_prices_are_not_mixed_with_real_ones() -> None:
    prices = [market("index", "BTC/USD", 99_000.0), market("coinnews", "BTC/EUR", 1.0, simulated=True)]
    assert [rate.currency for rate in find_rates(prices, NOW)] == ["BTC"]


def test_exchange_without_current_prices_is_named_with_a_reason_but_no_error_message() -> None:
    prices = [market("kraken"), market("coinbase", age=timedelta(minutes=30)), market("binance", age=MAX_AGE)]
    exchanges = [
        health("binance"),
        health("bitstamp", failures=2),
        health("coinbase", failures=3, blocked=timedelta(minutes=5)),
        health("disabled", failures=3, enabled=False),
        health("kraken", failures=1),
        health("new"),
    ]
    problems = find_problems(prices, exchanges, NOW, MAX_AGE)
    assert [(problem.name, problem.reason, problem.since) for problem in problems] == [
        ("Bitstamp", "isn't responding", None),
        ("Coinbase", "has limited our requests", NOW - timedelta(minutes=30)),
    ]


def test_stopped_collection_is_one_problem() -> None:
    prices = [market("kraken", age=timedelta(hours=2)), market("coinbase", age=timedelta(hours=3))]
    [problem] = find_problems(prices, [health("coinbase"), health("kraken")], NOW, MAX_AGE)
    assert problem.name == "No exchange"
    assert problem.since == NOW - timedelta(hours=2)


def test_rows_are_sorted_with_unknown_values_last() -> None:
    prices = [market("kraken", "A/USD", 1.0, number=1), market("kraken", "B/USD", 3.0, number=2)]
    prices.append(market("kraken", "C/USD", 2.0, number=3))
    rows = build_rows(prices, {1: history(2.0, None, None), 2: history(1.0, None, None)}, NOW)
    order = {(column, down): "".join(row.coin for row in sort_rows(rows, column, down))
             for column in ("price", "1h", "name", "nothing") for down in (False, True)}  # fmt: skip
    assert order == {
        ("price", False): "ACB",
        ("price", True): "BCA",
        ("1h", False): "ABC",
        ("1h", True): "BAC",
        ("name", False): "ABC",
        ("name", True): "CBA",
        ("nothing", False): "ABC",
        ("nothing", True): "ABC",
    }


@pytest.mark.parametrize(("query", "found"), [("bit", True), (" BTC ", True), ("", True), ("eth", False)])
def test_search_finds_codes_and_names(query: str, found: bool) -> None:
    [row] = build_rows([market("kraken")], {}, NOW)
    assert matches(row, query) is found


@given(st.dictionaries(st.integers(0, 168), st.floats(1e-9, 1e9), min_size=2))
def test_sparkline_stays_within_its_view_box(closes: dict[int, float]) -> None:
    path = sparkline_path(closes)
    x = y = 0
    for line in path.split("M")[1:]:
        start, _, steps = line.partition("l")
        x, y = map(int, start.split())
        assert 0 <= y <= HEIGHT
        numbers = list(map(int, steps.split()))
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            assert dx > 0
            assert 0 <= y <= HEIGHT
        assert 0 <= x <= WIDTH


def test_sparkline_is_interrupted_where_a_day_is_missing() -> None:
    closes = {hour: 100.0 + hour for hour in range(168) if not 48 <= hour < 72}
    assert sparkline_path(closes).count("M") == 2
    assert sparkline_path({5: 1.0}) == ""


def test_position_survives_the_round_trip() -> None:
    position = Position(NOW, NOW - timedelta(microseconds=1))
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-2", "1-2-3", "a-b", "1-²", "999999999999999999-1", "1-1\n"])
def test_other_ids_are_not_positions(text: str) -> None:
    assert Position.parse(text) is None
