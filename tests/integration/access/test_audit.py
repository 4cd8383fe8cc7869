"""The audit log: written with the action or not at all, without addresses, and not changeable by the application."""

from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.users import get_user_id, sign_out_everywhere
from coinwatch.audit import (
    Actor,
    delete_old_entries,
    list_entries,
    record,
    record_action,
    record_outcome,
    record_start_and_outcome,
)
from coinwatch.database import create_engine, transaction
from coinwatch.errors import NotFound
from coinwatch.notifications.channels import set_channel
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.outbox import drop_emails
from coinwatch.notifications.suppression import lift_suppressions
from coinwatch.prices.catalog import record_probes, set_exchange_enabled, sync_catalog
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.quotes import at
from tests.support.settings import exchange, make_settings
from tests.support.subscriptions import subscribe

ACTOR = Actor("ada", "web", at(0))
ADDRESS = "grace@example.org"


def logged(engine: sa.Engine) -> list[tuple[str, str]]:
    return [(entry.action, entry.target) for entry in list_entries(engine)]


def test_entry_and_action_are_one_transaction(catalog: sa.Engine) -> None:
    set_exchange_enabled(catalog, "KRAKEN", False, actor=ACTOR)
    with pytest.raises(NotFound):
        set_exchange_enabled(catalog, "nowhere", False, actor=ACTOR)
    with pytest.raises(NotFound):
        drop_emails(catalog, [1], actor=ACTOR)
    [entry] = list_entries(catalog)
    assert (entry.actor, entry.via, entry.at) == ("ada", "web", at(0))
    assert (entry.action, entry.target) == ("exchange.disable", "kraken")


def test_what_runs_automatically_is_not_logged(catalog: sa.Engine) -> None:
    set_exchange_enabled(catalog, "kraken", False)
    assert logged(catalog) == []


def test_no_entry_contains_the_address_of_a_subscriber(catalog: sa.Engine) -> None:
    subscribe(catalog, email=ADDRESS, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(0), confirmed=True)
    user_id = get_user_id(catalog, ADDRESS)
    with transaction(catalog) as connection:
        suppressed = "UPDATE users SET suppressed_at = :now, suppression_reason = '550 no <grace@example.org>'"
        connection.execute(sa.text(suppressed), {"now": at(0)})
    lift_suppressions(catalog, at(1), email=ADDRESS, actor=ACTOR)
    set_channel(catalog, ADDRESS, None, actor=ACTOR)
    sign_out_everywhere(catalog, user_id, actor=ACTOR)
    erase(catalog, user_id, actor=ACTOR)
    person = f"subscriber {user_id}"
    assert logged(catalog) == [
        ("subscriber.erase", person),
        ("subscriber.sign_out", person),
        ("channel.remove", person),
        ("suppression.lift", person),
    ]
    with transaction(catalog) as connection:
        text = connection.execute(sa.text("SELECT string_agg(a::text, ' ') FROM audit_log a")).scalar_one()
    assert "grace" not in text


def test_action_that_takes_a_while_has_an_entry_for_its_start_and_its_result(engine: sa.Engine) -> None:
    with record_start_and_outcome(
        engine, ACTOR, "data.import", "1 path", clock=lambda: at(5), pair="BTC/USD"
    ) as outcome:
        assert [entry.details["state"] for entry in list_entries(engine)] == ["started"]
        outcome["new"] = 7
    result, start = list_entries(engine)
    assert (start.at, start.details) == (at(0), {"state": "started", "pair": "BTC/USD"})
    assert (result.at, result.details) == (at(5), {"state": "finished", "new": 7})
    assert {(entry.actor, entry.action, entry.target) for entry in (result, start)} == {
        ("ada", "data.import", "1 path")
    }


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (NotFound("There is no exchange mtgox."), {"state": "failed", "error": "There is no exchange mtgox."}),
        (ValueError("could not parse grace@example.org"), {"state": "failed", "error": "ValueError"}),
        (KeyboardInterrupt(), {"state": "interrupted"}),
    ],
    ids=["known error", "unknown error", "interrupted"],
)
def test_action_that_ends_early_is_logged_with_the_reason(
    engine: sa.Engine, error: BaseException, details: dict[str, str]
) -> None:
    def repair() -> None:
        with record_outcome(engine, ACTOR, "gaps.repair") as outcome:
            outcome["filled"] = 1
            raise error

    with pytest.raises(type(error)):
        repair()
    [entry] = list_entries(engine)
    assert entry.details == {"filled": 1, **details}


def test_error_is_raised_even_if_its_entry_cannot_be_written(engine: sa.Engine) -> None:
    unreachable = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(NotFound), record_outcome(unreachable, ACTOR, "gaps.repair"):
        raise NotFound("There is no exchange mtgox.")


def test_first_probe_is_logged_as_what_it_changed(engine: sa.Engine) -> None:
    sync_catalog(engine, make_settings(exchanges={"kraken": exchange("Kraken", enabled="auto")}))
    for answered in (True, False):
        record_probes(engine, {"kraken": answered}, at(0), actor=ACTOR)
    assert logged(engine) == [("exchange.enable", "kraken")]


def test_entries_are_filtered_and_read_page_by_page(engine: sa.Engine) -> None:
    for number, action in enumerate(["outbox.retry", "outbox.drop", "exchange.enable", "outboxes.other"]):
        record_action(engine, Actor("ada" if number % 2 else "bob", "cli", at(number)), action, number)
    assert [target for _, target in logged(engine)] == ["3", "2", "1", "0"]
    assert [entry.target for entry in list_entries(engine, action="outbox")] == ["1", "0"]
    assert [entry.target for entry in list_entries(engine, action="outbox.drop")] == ["1"]
    assert [entry.target for entry in list_entries(engine, actor="ada")] == ["3", "1"]
    first = list_entries(engine, limit=3)
    assert [entry.target for entry in list_entries(engine, before=first[-1].id)] == ["0"]


def test_old_entries_are_deleted(engine: sa.Engine, settings: Settings) -> None:
    for minute in (0, 1):
        record_action(engine, Actor("ada", "cli", at(minute)), "exchange.enable", minute)
    later = at(0.5) + timedelta(days=settings.audit_retention_days)
    assert delete_old_entries(engine, make_settings(audit_retention_days=0), later) == 0
    assert delete_old_entries(engine, settings, later) == 1
    assert logged(engine) == [("exchange.enable", "1")]


def test_application_cannot_change_an_entry(engine: sa.Engine, database: Database) -> None:
    record_action(engine, ACTOR, "exchange.enable", "kraken")
    with (
        psycopg.connect(database.url("app")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE audit_log SET actor = 'nobody'")


def test_invalid_action_is_a_programming_error(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError), transaction(engine) as connection:
        record(connection, ACTOR, "drop table", "")
