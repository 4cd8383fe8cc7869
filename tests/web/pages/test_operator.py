"""The operator pages: signing in, what they show, and that each button does what the command line does."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.access.api_keys import create_api_key, find_api_key, list_api_keys, revoke_api_key
from coinwatch.alerts.rules import Rule
from coinwatch.audit import Actor, list_entries
from coinwatch.database import transaction
from coinwatch.prices.catalog import list_enabled_exchanges
from coinwatch.prices.ingest.collection import CollectResult
from coinwatch.prices.ingest.cycles import record_cycle
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import OPERATOR_COOKIE, identify_by_token
from coinwatch.web.services.operator.gap_repair import GAP_REPAIR
from coinwatch.web.services.operator.rendering import SECTIONS
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW, TOKEN, web_settings

PAGES = [path for _, path, _ in SECTIONS]
ACTOR = Actor("ada", "cli", NOW)
BROWSER = {"Accept": "text/html", "Origin": "http://coinwatch.test"}
ADDRESS = "grace@example.org"


@pytest.fixture
def browser(standalone: FastAPI) -> TestClient:
    """A browser that is not signed in."""
    return TestClient(standalone, base_url="http://coinwatch.test", headers=BROWSER, follow_redirects=False)


@pytest.fixture
def signed_in(browser: TestClient) -> TestClient:
    # The settings' public URL is https, so the cookie is Secure and this client would not send it over http.
    response = browser.post("/operator/sign-in", data={"token": TOKEN})
    browser.headers["Cookie"] = f"{OPERATOR_COOKIE}={session_of(response.headers['set-cookie'])}"
    return browser


@pytest.fixture
def outbox(engine: sa.Engine, market: None) -> sa.Engine:
    """A failed email (1) and a queued one (2) to an address that is suppressed, with a paused alert."""
    subscribe(engine, email=ADDRESS, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=NOW, confirmed=True)
    with transaction(engine) as connection:
        connection.execute(
            sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550 no such user'"), {"now": NOW}
        )
        connection.execute(sa.text("UPDATE subscriptions SET status = 'paused', paused_by_suppression = true"))
        for key, status in (("first", "failed"), ("second", "queued")):
            connection.execute(
                sa.text(
                    "INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, status, next_attempt_at, "
                    "created_at, last_error) SELECT :key, id, email, 'alerts', '{}', :status, :now, :now, "
                    "'550 <grace@example.org> is unknown' FROM users"
                ),
                {"key": key, "status": status, "now": NOW},
            )
    return engine


def session_of(cookie: str) -> str:
    found = re.match(rf"{OPERATOR_COOKIE}=([^;]+);", cookie)
    assert found
    return found[1]


def actions(engine: sa.Engine) -> list[tuple[str, str]]:
    return [(entry.action, entry.target) for entry in list_entries(engine) if entry.action != "operator.sign_in"]


def states(engine: sa.Engine) -> list[str]:
    with transaction(engine) as connection:
        return list(connection.execute(sa.text("SELECT status FROM outbox ORDER BY id")).scalars())


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", PAGES)
def test_page_asks_to_sign_in_and_returns_there(browser: TestClient, path: str) -> None:
    denied = browser.get(path)
    assert denied.status_code == 303
    form = browser.get(denied.headers["location"])
    [next_path] = re.findall(r'name="next" value="([^"]*)"', form.text)
    assert browser.post("/operator/sign-in", data={"token": TOKEN, "next": next_path}).headers["location"] == path


@pytest.mark.usefixtures("outbox")
@pytest.mark.parametrize("path", PAGES)
def test_page_is_complete_for_a_signed_in_operator(signed_in: TestClient, path: str) -> None:
    page = signed_in.get(path)
    assert page.status_code == 200
    assert 'aria-current="page"' in page.text
    assert "Sign out" in page.text
    if path not in {"/operator/suppressed"}:
        assert "grace" not in page.text


def test_cookie_is_protected_and_limited_to_the_app(browser: TestClient) -> None:
    cookie = browser.post("/operator/sign-in", data={"token": TOKEN}).headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=strict", "secure", "path=/", "max-age=43200"):
        assert attribute in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "target", ["https://evil.test", "//evil.test", "/manage", "/operator/../x", "/operator\r\nX: y"]
)
def test_sign_in_never_redirects_elsewhere(browser: TestClient, target: str) -> None:
    response = browser.post("/operator/sign-in", data={"token": TOKEN, "next": target})
    assert response.headers["location"] == "/operator"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "cw_1_00", "ä" * 100, "\udce4"])
def test_wrong_token_starts_no_session(browser: TestClient, token: str) -> None:
    response = browser.post("/operator/sign-in", data={"token": token.encode("utf-8", "replace").decode()})
    assert response.status_code == 422
    assert "set-cookie" not in response.headers


def test_attempts_to_sign_in_are_limited_across_servers(
    make_app: Callable[..., FastAPI], browser: TestClient, engine: sa.Engine
) -> None:
    another = TestClient(make_app(identify_by_token(web_settings)), base_url="http://coinwatch.test", headers=BROWSER)
    statuses = [
        client.post("/operator/sign-in", data={"token": "wrong"}).status_code
        for client in (browser, another, browser, another, browser, another)
    ]
    assert statuses == [422] * 5 + [429]
    limited = browser.post("/operator/sign-in", data={"token": TOKEN})
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) == 60


def test_signing_out_ends_the_session(signed_in: TestClient) -> None:
    assert signed_in.get("/operator").status_code == 200
    assert signed_in.post("/operator/sign-out").status_code == 303
    assert signed_in.get("/operator").status_code == 303


def test_session_expires(make_app: Callable[..., FastAPI], signed_in: TestClient) -> None:
    cookie = {"Cookie": signed_in.headers["Cookie"]}
    for hours, status in ((11.9, 200), (12, 303)):
        now = NOW + timedelta(hours=hours)
        later = TestClient(
            make_app(identify_by_token(web_settings), clock=lambda now=now: now), headers=BROWSER | cookie
        )
        assert later.get("/operator/audit", follow_redirects=False).status_code == status


def test_changing_the_token_ends_sessions(engine: sa.Engine, signed_in: TestClient) -> None:
    changed = web_settings().model_copy(update={"api_token": web_settings().secret_key})
    app = create_app(
        lambda: engine,
        lambda: changed,
        identify=identify_by_token(lambda: changed),
        inside_airflow=False,
        clock=lambda: NOW,
    )
    headers = BROWSER | {"Cookie": signed_in.headers["Cookie"]}
    assert TestClient(app, headers=headers).get("/operator", follow_redirects=False).status_code == 303


def test_operator_signs_in_with_an_api_key_until_it_is_revoked(engine: sa.Engine, browser: TestClient) -> None:
    _, weak = create_api_key(engine, ACTOR, "reader", ["subscriptions:read"], None)
    key_id, token = create_api_key(engine, ACTOR, "admin", ["operator"], None)
    assert browser.post("/operator/sign-in", data={"token": weak}).status_code == 422
    response = browser.post("/operator/sign-in", data={"token": token})
    browser.headers["Cookie"] = f"{OPERATOR_COOKIE}={session_of(response.headers['set-cookie'])}"
    page = browser.get("/operator/audit")
    assert f"Signed in as API key {key_id} (admin)" in page.text
    revoke_api_key(engine, ACTOR, key_id)
    assert browser.get("/operator/audit").status_code == 303


@pytest.mark.parametrize("origin", ["http://evil.test", "http://coinwatch.test:8080", "null"])
def test_other_sites_cannot_act_with_the_cookie(engine: sa.Engine, signed_in: TestClient, origin: str) -> None:
    response = signed_in.post("/operator/exchanges/kraken/disable", headers={"Origin": origin})
    assert response.status_code == 403
    assert actions(engine) == []


@pytest.mark.usefixtures("market")
def test_exchange_is_switched_off_and_on(engine: sa.Engine, signed_in: TestClient) -> None:
    response = signed_in.post("/operator/exchanges/kraken/disable")
    assert "kraken" not in list_enabled_exchanges(engine)
    assert "Disabled. No prices" in signed_in.get(response.headers["location"]).text
    signed_in.post("/operator/exchanges/kraken/enable")
    assert "kraken" in list_enabled_exchanges(engine)
    assert actions(engine) == [("exchange.enable", "kraken"), ("exchange.disable", "kraken")]
    assert {entry.actor for entry in list_entries(engine)} == {"operator"}
    assert signed_in.post("/operator/exchanges/nowhere/enable").status_code == 404
    assert signed_in.post("/operator/exchanges/kraken/delete").status_code == 422


def test_selected_emails_are_queued_again_or_dropped(outbox: sa.Engine, signed_in: TestClient) -> None:
    response = signed_in.post("/operator/outbox/retry", data={"ids": [1]})
    assert states(outbox) == ["queued", "queued"]
    assert "queued again: 1" in signed_in.get(response.headers["location"]).text
    signed_in.post("/operator/outbox/drop", data={"ids": [1, 2]})
    assert states(outbox) == ["dropped", "dropped"]
    assert actions(outbox) == [("outbox.drop", "2 emails"), ("outbox.retry", "1 email")]


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_nothing_selected_changes_nothing(outbox: sa.Engine, signed_in: TestClient, action: str) -> None:
    assert signed_in.post(f"/operator/outbox/{action}").status_code == 303
    assert states(outbox) == ["failed", "queued"]
    assert actions(outbox) == []


def test_all_failed_emails_are_dropped_but_not_queued_ones(outbox: sa.Engine, signed_in: TestClient) -> None:
    signed_in.post("/operator/outbox/drop-all")
    assert states(outbox) == ["dropped", "queued"]


@pytest.mark.parametrize("ids", [["0"], ["x"], ["9" * 30], ["1"] * 51])
def test_invalid_ids_are_rejected(outbox: sa.Engine, signed_in: TestClient, ids: list[str]) -> None:
    assert signed_in.post("/operator/outbox/drop", data={"ids": ids}).status_code == 422
    assert states(outbox) == ["failed", "queued"]


def test_addresses_in_the_outbox_are_shown_on_request(outbox: sa.Engine, signed_in: TestClient) -> None:
    assert "grace" not in signed_in.get("/operator/outbox?status=failed").text
    assert ADDRESS in signed_in.get("/operator/outbox?status=failed&addresses=1").text


def test_suppression_is_lifted(outbox: sa.Engine, signed_in: TestClient) -> None:
    assert "550 no such user" in signed_in.get("/operator/suppressed").text
    response = signed_in.post("/operator/suppressed/lift", data={"email": ADDRESS})
    page = signed_in.get(response.headers["location"]).text
    assert "Subscriptions resumed: 1" in page
    assert ADDRESS not in page
    assert actions(outbox) == [("suppression.lift", "subscriber 1")]
    assert signed_in.post("/operator/suppressed/lift", data={"email": ADDRESS}).status_code == 404


@pytest.mark.usefixtures("market")
def test_api_key_is_created_shown_once_and_revoked(engine: sa.Engine, signed_in: TestClient) -> None:
    form = {"name": "backup", "scopes": ["subscriptions:read"], "days": "30"}
    created = signed_in.post("/operator/api-keys", data=form)
    [token] = re.findall(r"cw_\d+_[0-9a-f]{64}", created.text)
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    assert find_api_key(engine, token, NOW) is not None
    [key] = list_api_keys(engine)
    assert (key.created_by, key.expires_at) == ("operator (web)", NOW + timedelta(days=30))
    assert token not in signed_in.get("/operator/api-keys").text
    signed_in.post(f"/operator/api-keys/{key.id}/revoke")
    assert find_api_key(engine, token, NOW) is None
    assert [action for action, _ in actions(engine)] == ["api_key.revoke", "api_key.create"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "", "scopes": ["operator"]}, "name"),
        ({"name": "backup"}, "scopes"),
        ({"name": "backup", "scopes": ["everything"]}, "scopes"),
        ({"name": "backup", "scopes": ["operator"], "days": "9999"}, "days"),
    ],
)
def test_invalid_key_keeps_the_form_with_its_error(
    engine: sa.Engine, signed_in: TestClient, form: dict[str, object], field: str
) -> None:
    response = signed_in.post("/operator/api-keys", data=form)
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    assert f'value="{form["name"]}"' in response.text
    assert list_api_keys(engine) == []


def test_new_api_keys_are_limited(signed_in: TestClient) -> None:
    form = {"name": "backup", "scopes": ["operator"]}
    statuses = [signed_in.post("/operator/api-keys", data=form).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]


def test_audit_log_is_filtered_and_read_page_by_page(engine: sa.Engine, signed_in: TestClient) -> None:
    for number in range(60):
        create_api_key(engine, ACTOR, f"key {number}", ["operator"], None)
    first = signed_in.get("/operator/audit?action=api_key").text
    assert ("name: key 59" in first, "name: key 9;" in first, "operator.sign_in" in first) == (True, False, False)
    [older] = re.findall(r'href="([^"]*before=[^"]*)"', first)
    assert "name: key 9;" in signed_in.get(older.replace("&amp;", "&")).text
    assert "No entries match" in signed_in.get("/operator/audit?actor=nobody").text


@pytest.mark.usefixtures("market")
def test_recent_cycles_are_shown_with_failed_exchanges(engine: sa.Engine, signed_in: TestClient) -> None:
    with transaction(engine) as connection:
        failing = (
            "INSERT INTO exchange_status (exchange_id, failures, last_error) "
            "SELECT id, 3, 'timed out after 10 s' FROM exchanges WHERE code = 'kraken'"
        )
        connection.execute(sa.text(failing))
    started = NOW - timedelta(seconds=30)
    record_cycle(engine, [CollectResult("coinbase", quotes=1234)], 7, started, started + timedelta(seconds=2.5))
    cycles = signed_in.get("/operator/cycles").text
    assert re.findall(r'<td class="number">([^<]*)</td>', cycles) == ["2.5 s", "1", "1234", "0", "0", "7"]
    assert "<td>kraken</td>" in cycles
    overview = signed_in.get("/operator").text
    assert "Kraken failed 3 times in a row: timed out after 10 s" in overview


@pytest.mark.usefixtures("market")
def test_messages_after_a_form_contain_nothing_from_the_link(signed_in: TestClient) -> None:
    page = signed_in.get("/operator/outbox?done=dropped&n=<b>1</b>").text
    assert "Emails dropped: ?." in page
    assert "Call" not in signed_in.get("/operator/outbox?done=Call+this+number").text


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("dag_id", "text"),
    [
        ("collect_prices", "Cycles"),
        ("backfill_candles", "No history has been requested"),
        ("repair_gaps", "No gaps in the last 7 days"),
        ("check_data", "Stale"),
        ("maintain_database", "The database uses"),
        ("export_history", "COINWATCH_EXPORT_PATH"),
        ("example_<b>dag", "Not a coinwatch DAG"),
    ],
)
def test_tab_of_a_dag_shows_what_matters_for_it(
    inside_as: Callable[[str | None], TestClient], dag_id: str, text: str
) -> None:
    for name in ("viewer", "admin"):
        page = inside_as(name).get(f"/coinwatch/dags/{dag_id}", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert text in page.text
        assert "<b>dag" not in page.text
        assert ("/coinwatch/operator" in page.text) is (name == "admin")
    assert inside_as(None).get(f"/coinwatch/dags/{dag_id}").status_code == 401


@pytest.mark.usefixtures("market")
def test_repair_in_the_background_is_logged_with_its_result(signed_in: TestClient, engine: sa.Engine) -> None:
    assert signed_in.post("/operator/gaps/repair").status_code == 303
    deadline = time.monotonic() + 30
    while GAP_REPAIR.is_running and time.monotonic() < deadline:
        time.sleep(0.05)
    result, start = list_entries(engine, action="gaps.repair")
    assert start.details == {"state": "started"}
    assert result.details == {"state": "finished", "filled": 0, "unavailable": 0, "failed": {}}
    assert (result.actor, result.via) == (start.actor, start.via)


@pytest.mark.usefixtures("market")
def test_airflow_users_need_permission_to_edit_the_dag(inside_as: Callable[[str | None], TestClient]) -> None:
    for path in PAGES:
        assert inside_as("viewer").get(f"/coinwatch{path}").status_code == 403
        assert inside_as("admin").get(f"/coinwatch{path}").status_code == 200
    page = inside_as("admin").get("/coinwatch/operator").text
    assert "Sign out" not in page
    assert inside_as("admin").get("/coinwatch/operator/sign-in").headers["location"] == "/coinwatch/operator"


@pytest.mark.usefixtures("market")
def test_actions_in_airflow_are_logged_with_the_user(
    engine: sa.Engine, inside_as: Callable[[str | None], TestClient]
) -> None:
    assert inside_as("viewer").post("/coinwatch/operator/exchanges/kraken/disable").status_code == 403
    assert inside_as("admin").post("/coinwatch/operator/exchanges/kraken/disable").status_code == 303
    [entry] = list_entries(engine)
    assert (entry.actor, entry.via, entry.target) == ("admin", "web", "kraken")
