"""API keys: what a token may do, until when, and what is stored of it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.access.api_keys import create_api_key, find_api_key, list_api_keys, revoke_api_key
from coinwatch.audit import Actor, list_entries
from coinwatch.errors import InvalidRequest, NotFound
from tests.support.quotes import at

ACTOR = Actor("ada", "cli", at(0))


def test_token_is_valid_until_the_key_expires(engine: sa.Engine) -> None:
    key_id, token = create_api_key(engine, ACTOR, " backup ", ["subscriptions:read"], at(60))
    found = find_api_key(engine, token, at(59))
    assert found is not None
    assert (found.id, found.name, found.scopes) == (key_id, "backup", {"subscriptions:read"})
    assert find_api_key(engine, token, at(60)) is None
    [listed] = list_api_keys(engine)
    assert (listed.state(at(59)), listed.state(at(60)), listed.created_by) == ("active", "expired", "ada (cli)")


def test_revoked_key_is_not_valid(engine: sa.Engine) -> None:
    key_id, token = create_api_key(engine, ACTOR, "backup", ["operator"], None)
    assert find_api_key(engine, token, at(1)) is not None
    assert revoke_api_key(engine, ACTOR, key_id) == "backup"
    assert find_api_key(engine, token, at(3)) is None
    with pytest.raises(NotFound):
        revoke_api_key(engine, ACTOR, key_id)
    assert [key.state(at(5)) for key in list_api_keys(engine)] == ["revoked"]


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.replace("cw_1_", "cw_2_"),
        lambda token: token.replace("cw_1_", "cw_01_"),
        lambda token: token.replace("cw_1_", "cw_99999999999999999999999_"),
        lambda token: token.upper(),
        lambda token: token + "\n",
        lambda token: "cw_1_",
        lambda _: "",
    ],
)
def test_changed_token_is_not_valid(engine: sa.Engine, change: object) -> None:
    _, token = create_api_key(engine, ACTOR, "backup", ["operator"], None)
    assert callable(change)
    assert find_api_key(engine, change(token), at(1)) is None


def test_nothing_stored_contains_the_secret(engine: sa.Engine) -> None:
    _, token = create_api_key(engine, ACTOR, "backup", ["operator"], None)
    secret = token.rpartition("_")[2]
    with engine.begin() as connection:
        stored = connection.execute(
            sa.text("SELECT k::text || encode(k.secret_hash, 'escape') || a::text FROM api_keys k, audit_log a")
        ).scalar_one()
    assert secret not in stored
    assert [(entry.action, entry.actor, entry.via) for entry in list_entries(engine)] == [
        ("api_key.create", "ada", "cli")
    ]


def test_use_is_recorded_at_most_once_an_hour(engine: sa.Engine) -> None:
    _, token = create_api_key(engine, ACTOR, "backup", ["operator"], None)
    recorded = []
    for minute in (1, 30, 61, 62):
        find_api_key(engine, token, at(minute))
        recorded.append(list_api_keys(engine)[0].last_used_at)
    assert recorded == [at(1), at(1), at(1), at(62)]


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [
        (" ", ["operator"], 1, "name"),
        ("x" * 101, ["operator"], 1, "name"),
        ("red \x1b[31m", ["operator"], 1, "name"),
        ("backup", [], 1, "scopes"),
        ("backup", ["operator", "everything"], 1, "scopes"),
        ("backup", ["operator"], -1, "expires"),
        ("backup", ["operator"], 4000, "expires"),
    ],
)
def test_invalid_keys_are_not_created(engine: sa.Engine, name: str, scopes: list[str], days: int, field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        create_api_key(engine, ACTOR, name, scopes, at(0) + timedelta(days=days))
    assert error.value.field == field
    assert list_api_keys(engine) == []
    assert list_entries(engine) == []
