"""Active subscriptions whose instrument has no recent price are reported to the operator."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.cli.main import app
from coinwatch.cli.operations import status
from coinwatch.database import transaction
from coinwatch.status import StaleSubscriptions, pipeline_status
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.subscriptions import subscribe


def watch_bitcoin(engine: sa.Engine, email: str) -> None:
    subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(0), confirmed=True)


def test_delisted_pair_is_reported_with_its_last_price(catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    watch_bitcoin(catalog, "ada@example.org")
    watch_bitcoin(catalog, "bob@example.org")
    load(catalog, quote(100.0, 0))
    assert pipeline_status(catalog, at(0) + timedelta(hours=23)).stale_subscriptions == []

    with transaction(catalog) as connection:  # as sync_catalog does when a pair is removed from the configuration
        connection.execute(sa.text("UPDATE instruments SET enabled = false"))
    later = at(0) + timedelta(days=3)
    assert pipeline_status(catalog, later).stale_subscriptions == [StaleSubscriptions("kraken", "BTC", "USD", 2, at(0))]
    monkeypatch.setattr(status, "get_engine", lambda: catalog)
    monkeypatch.setattr(status, "get_settings", make_settings)
    monkeypatch.setattr(status, "utc_now", lambda: later)
    output = typer.testing.CliRunner().invoke(app, ["status"]).stdout
    assert "2 subscriptions to BTC/USD at kraken (last price 3 d ago)\n" in output


def test_pair_without_prices_is_reported_a_day_after_subscribing(catalog: sa.Engine) -> None:
    watch_bitcoin(catalog, "ada@example.org")
    assert pipeline_status(catalog, at(0) + timedelta(hours=23)).stale_subscriptions == []
    [stale] = pipeline_status(catalog, at(0) + timedelta(hours=25)).stale_subscriptions
    assert (stale.subscriptions, stale.last_price_at) == (1, None)
