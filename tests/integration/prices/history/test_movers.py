"""Changes over windows and top movers, compared with a simple computation from the same prices."""

from datetime import timedelta
from random import Random

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import find_instrument, sync_catalog
from coinwatch.prices.history.movers import read_changes, read_movers
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from tests.support.quotes import at, load, quote
from tests.support.settings import exchange, make_settings

NAMES = [f"C{number:02}" for number in range(12)]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def many_coins(engine: sa.Engine) -> None:
    pairs = [f"{name}/USD" for name in NAMES]
    kraken = exchange("Kraken", *pairs, base_url="http://127.0.0.1:1")
    sync_catalog(engine, make_settings(coins={name: {"name": name} for name in NAMES}, exchanges={"kraken": kraken}))


def test_changes_and_movers_match_a_simple_computation(engine: sa.Engine) -> None:
    many_coins(engine)
    random = Random(11)
    history = {
        name: sorted((-random.randrange(0, 3 * 1440), 50 + random.random() * 100) for _ in range(1500))
        for name in NAMES
    }
    points = {name: dict(walk) for name, walk in history.items()}
    load(
        engine,
        *(
            quote(price, minutes + 0.25, "kraken", f"{name}/USD")
            for name, walk in points.items()
            for minutes, price in walk.items()
        ),
        now=at(1),
    )
    refresh_candles(engine)
    now, windows = at(0.5), {"1h": HOUR, "24h": DAY, "2d": 2 * DAY}
    found = read_changes(engine, windows, now=now, exchange="kraken", fresh=HOUR)
    assert [coin.base for coin in found] == NAMES
    for coin in found:
        walk = sorted(points[coin.base].items())
        for window, change in zip(windows.values(), coin.changes_percent.values(), strict=True):
            start = -window / timedelta(minutes=1)
            before = [price for minutes, price in walk if minutes + 1 <= start + 0.5]
            assert change == pytest.approx(100 * (walk[-1][1] / before[-1] - 1)), (coin.base, window)
    day = read_movers(engine, DAY, 4, now=now, exchange="kraken", fresh=HOUR)
    expected = sorted(((coin.changes_percent["24h"] or 0.0, coin.base) for coin in found), reverse=True)
    assert [(mover.change_percent, mover.base) for mover in day.gainers] == [pair for pair in expected if pair[0] > 0][
        :4
    ]
    assert [(mover.change_percent, mover.base) for mover in day.losers] == [
        pair for pair in reversed(expected) if pair[0] < 0
    ][:4]
    assert (day.compared, day.window_seconds) == (12, 86400)
    best = day.gainers[0]
    assert best.change_percent == pytest.approx(100 * (best.price / best.price_before - 1))


def test_change_requires_prices_at_the_start_of_the_window_and_within_it(catalog: sa.Engine) -> None:
    load(catalog, quote(100, -62), quote(110, -30), quote(50, -90, pair="ETH/USD"), now=at(0))
    refresh_candles(catalog)
    [coin] = read_changes(catalog, {"15m": timedelta(minutes=15), "1h": HOUR, "24h": DAY}, now=at(0), exchange="kraken")
    assert coin.base == "BTC", "ETH's price is older than an hour"
    assert coin.changes_percent == {"15m": None, "1h": pytest.approx(10.0), "24h": None}
    assert [coin.base for coin in read_changes(catalog, now=at(0), exchange="kraken", fresh=2 * HOUR)] == ["BTC", "ETH"]
    assert read_changes(catalog, now=at(0)) == [], "the index has no prices"
    assert read_movers(catalog, DAY, now=at(0), exchange="kraken").compared == 0


def test_median_of_exchanges_is_used_before_the_index_began(catalog: sa.Engine) -> None:
    load(catalog, quote(120, -1, "index"), quote(120, -1, "kraken"), now=at(0))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        ids = {
            code: find_instrument(connection, "BTC", code).instrument_id for code in ("kraken", "coinbase", "coinnews")
        }
    for code, close in (("kraken", 90.0), ("coinbase", 110.0), ("coinnews", 5000.0)):
        rows = [
            StoredCandle(ids[code], Candle(at(-60 * hours), close, close, close, close)) for hours in range(20, 200)
        ]
        store_candles(catalog, "1h", rows)
    refresh_candles(catalog)
    [coin] = read_changes(catalog, now=at(0))
    assert coin.changes_percent == {
        "1h": None,
        "24h": pytest.approx(20.0),
        "7d": pytest.approx(20.0),
        "30d": None,
    }


@pytest.mark.parametrize("hours", [1, 24, 168], ids=lambda hours: f"{hours} hours")
@pytest.mark.parametrize(
    ("before", "after", "change", "price_before"),
    [
        ({"kraken": 100.0, "coinbase": 120.0}, {"kraken": 100.0}, 0, 100),
        ({"kraken": 100.0, "coinbase": 120.0}, {"kraken": 105.0}, 5, 100),
        ({"kraken": 100.0}, {"kraken": 99.0, "coinbase": 121.0}, -1, 110 / 0.99),
    ],
    ids=["an exchange leaves", "an exchange leaves while the other rises", "an exchange joins while the other falls"],
)
def test_index_is_compared_over_the_same_exchanges(
    catalog: sa.Engine,
    settings: Settings,
    hours: int,
    before: dict[str, float],
    after: dict[str, float],
    change: float,
    price_before: float,
) -> None:
    for minute, prices in ((-60 * hours - 61, before), (-1, after)):
        load(catalog, *(quote(price, minute, code) for code, price in prices.items()), now=at(minute))
        compute_index(catalog, settings, at(minute))
    refresh_candles(catalog)
    window = timedelta(hours=hours + 1)
    [coin] = read_changes(catalog, {"window": window}, now=at(0))
    assert coin.changes_percent == {"window": pytest.approx(change)}
    movers = read_movers(catalog, window, now=at(0))
    assert [mover.price_before for mover in movers.gainers + movers.losers] == (
        [pytest.approx(price_before)] if change else []
    )


def test_median_before_the_index_began_is_compared_over_the_same_exchanges(
    catalog: sa.Engine, settings: Settings
) -> None:
    """The index began an hour ago; since then Coinbase has left."""
    with transaction(catalog) as connection:
        ids = {code: find_instrument(connection, "BTC", code).instrument_id for code in ("kraken", "coinbase")}
    for code, close in (("kraken", 100.0), ("coinbase", 120.0)):
        store_candles(catalog, "1h", [StoredCandle(ids[code], Candle(at(-25 * 60), close, close, close, close))])
    for minute, prices in ((-60, {"kraken": 100.0, "coinbase": 120.0}), (-1, {"kraken": 100.0})):
        load(catalog, *(quote(price, minute, code) for code, price in prices.items()), now=at(minute))
        compute_index(catalog, settings, at(minute))
    [coin] = read_changes(catalog, {"24h": DAY}, now=at(0))
    assert coin.changes_percent == {"24h": pytest.approx(0)}


def test_change_is_measured_from_the_newest_candle_of_any_resolution(catalog: sa.Engine) -> None:
    load(catalog, quote(50, -25 * 60 - 30), quote(120, -1), now=at(0))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        kraken = find_instrument(connection, "BTC", "kraken").instrument_id
    store_candles(catalog, "1h", [StoredCandle(kraken, Candle(at(-25 * 60), 100, 100, 100, 100))])
    [coin] = read_changes(catalog, {"24h": DAY}, now=at(0), exchange="kraken")
    assert coin.changes_percent == {"24h": pytest.approx(20.0)}, (
        "the hour ended at the start of the window, the quote is older"
    )


def test_each_coin_appears_once_preferably_in_us_dollars(catalog: sa.Engine) -> None:
    load(catalog, quote(10, -1, "index"), quote(11, -1, "index", "BTC/USDT"), quote(3, -1, "binance", "BTC/USDT"))
    assert [(coin.quote, coin.price) for coin in read_changes(catalog, now=at(0))] == [("USD", 10)]
    assert [(coin.quote, coin.price) for coin in read_changes(catalog, now=at(0), exchange="binance")] == [("USDT", 3)]


def test_window_or_limit_out_of_bounds_is_an_error(catalog: sa.Engine) -> None:
    with pytest.raises(InvalidRequest, match=r"window is .*1 minute"):
        read_movers(catalog, timedelta(0), now=at(0))
    with pytest.raises(InvalidRequest, match="limit is 0"):
        read_movers(catalog, DAY, 0, now=at(0))
