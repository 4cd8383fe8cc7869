"""Rules that cannot fire because their price stays away: an operator sees whose pairs, and since when."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.cli import operations as operate
from coinwatch.database import transaction
from coinwatch.status import SilentRules, pipeline_status
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.subscriptions import subscribe


def test_rules_on_a_delisted_pair_are_counted_with_its_last_price(
    catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for email in ("ada@example.org", "bob@example.org"):
        subscribe(
            catalog, email=email, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(0), confirmed=True
        )
    load(catalog, quote(100.0, 0))
    assert pipeline_status(catalog, at(0) + timedelta(hours=23)).silent_rules == []

    with transaction(catalog) as connection:  # as the configuration does when the pair is taken out of it
        connection.execute(sa.text("UPDATE instruments SET enabled = false"))
    later = at(0) + timedelta(days=3)
    assert pipeline_status(catalog, later).silent_rules == [SilentRules("kraken", "BTC", "USD", 2, at(0))]
    monkeypatch.setattr(operate, "get_engine", lambda: catalog)
    monkeypatch.setattr(operate, "get_settings", make_settings)
    monkeypatch.setattr(operate, "utc_now", lambda: later)
    said = typer.testing.CliRunner().invoke(operate.app, ["status"]).stdout
    assert "rules without price  2 on BTC/USD at kraken (last price 3 d ago)\n" in said


def test_a_pair_that_never_had_a_price_counts_from_the_day_after_it_was_asked_for(catalog: sa.Engine) -> None:
    subscribe(
        catalog,
        email="ada@example.org",
        coin="BTC",
        exchange="kraken",
        rule=Rule(threshold=5),
        now=at(0),
        confirmed=True,
    )
    assert pipeline_status(catalog, at(0) + timedelta(hours=23)).silent_rules == []
    [silent] = pipeline_status(catalog, at(0) + timedelta(hours=25)).silent_rules
    assert (silent.rules, silent.last_price_at) == (1, None)
