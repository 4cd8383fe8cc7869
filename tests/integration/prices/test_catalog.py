"""Synchronizing the catalog with the configuration keeps history and the operator's choices."""

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.prices import catalog as library
from coinwatch.settings import Settings
from tests.support.settings import COINS, EXCHANGES, exchange, make_settings


def watched(engine: sa.Engine) -> set[tuple[str, str]]:
    with transaction(engine) as connection:
        rows = connection.execute(sa.text("SELECT exchange, pair FROM watched_instruments"))
        return {(row.exchange, row.pair) for row in rows}


def test_every_dollar_like_pair_gets_an_index_instrument(catalog: sa.Engine) -> None:
    index = {pair for code, pair in watched(catalog) if code == "index"}
    assert index == {"BTC/USD", "ETH/USD", "BTC/USDT", "ETH/USDT"}


def test_removed_instruments_are_disabled_and_keep_their_ids(catalog: sa.Engine) -> None:
    fewer = make_settings(exchanges={**EXCHANGES, "kraken": exchange("Kraken", "BTC/USD")})
    library.sync_catalog(catalog, fewer)
    assert ("kraken", "ETH/USD") not in watched(catalog)
    with transaction(catalog) as connection:
        before = connection.execute(sa.text("SELECT id FROM instruments ORDER BY id")).all()
    library.sync_catalog(catalog, make_settings())
    assert ("kraken", "ETH/USD") in watched(catalog)
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT id FROM instruments ORDER BY id")).all() == before


def test_repeated_syncs_consume_no_ids(catalog: sa.Engine, settings: Settings) -> None:
    for _ in range(20):
        library.sync_catalog(catalog, settings, force=True)
    library.sync_catalog(catalog, make_settings(exchanges={**EXCHANGES, "later": exchange("Later", adapter="kraken")}))
    with transaction(catalog) as connection:
        ids = connection.execute(sa.text("SELECT id FROM exchanges ORDER BY id")).scalars().all()
    assert list(ids) == [1, 2, 3, 4, 5, 6]


def test_operator_setting_survives_a_configuration_change(catalog: sa.Engine) -> None:
    library.set_exchange_enabled(catalog, "kraken", False)
    library.sync_catalog(catalog, make_settings(coins=COINS, exchanges=dict(EXCHANGES)), force=True)
    assert library.list_enabled_exchanges(catalog) == ["binance", "coinbase", "coinnews"]
    with pytest.raises(NotFound, match="nowhere"):
        library.set_exchange_enabled(catalog, "nowhere", True)


def test_only_the_first_probe_counts(engine: sa.Engine) -> None:
    from tests.support.quotes import at

    auto_enabled = make_settings(exchanges={"kraken": exchange("Kraken", enabled="auto")})
    library.sync_catalog(engine, auto_enabled)
    assert library.list_unprobed_exchanges(engine, auto_enabled) == ["kraken"]
    library.record_probes(engine, {"kraken": True}, at(0))
    library.record_probes(engine, {"kraken": False}, at(1))
    assert library.list_enabled_exchanges(engine) == ["kraken"]
    assert library.list_unprobed_exchanges(engine, auto_enabled) == []


@pytest.mark.parametrize("coin", ["BTC", "btc", "Bitcoin", " bitcoin "])
def test_coin_is_found_by_code_or_name(catalog: sa.Engine, coin: str) -> None:
    with transaction(catalog) as connection:
        assert library.find_instrument(connection, coin).pair == "BTC/USD"
        assert library.find_instrument(connection, coin, "Binance").pair == "BTC/USDT"


@pytest.mark.parametrize(
    ("coin", "where", "quote", "hint"),
    [
        ("DOGE", None, None, "Tracked: BTC, ETH"),
        ("BTC", "mtgox", None, "Available: binance, coinbase, coinnews, index, kraken"),
        ("BTC", "binance", "EUR", "Available: USDT"),
        ("'; DROP TABLE prices; --", None, None, "is not tracked"),
    ],
)
def test_not_found_errors_list_what_is_available(
    catalog: sa.Engine, coin: str, where: str | None, quote: str | None, hint: str
) -> None:
    with transaction(catalog) as connection, pytest.raises(NotFound, match=hint):
        library.find_instrument(connection, coin, where, quote)
