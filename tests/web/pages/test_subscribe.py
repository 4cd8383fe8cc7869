"""Creating a subscription with the form and with the API."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import MAX_SUBSCRIPTIONS, list_subscriptions
from coinwatch.mail.links import confirmation_link
from coinwatch.settings import Settings
from coinwatch.web.services.alert_form.form import EMPTY_FORM, parse_alert_form, rule_to_form
from tests.web.problems import field_errors
from tests.web.seed import NOW
from tests.web.subscribing import ADA, BOB, add_subscription, field_error, link_key, path_of, queued_emails

pytestmark = pytest.mark.usefixtures("market")
FORM_WITHOUT_NUMBER = {"email": ADA, "coin": "BTC", "exchange": "", "direction": "up"}
FORM = FORM_WITHOUT_NUMBER | {"threshold_percent": "2.5"}
BODY = {"email": ADA, "coin": "bitcoin", "threshold_percent": 2.5, "exchange": "kraken"}
LEGACY_BODY = {"email": ADA, "coin_name": "BTC", "percentage": 2}


def test_anonymous_form_creates_pending_subscription_and_emails_link(client: TestClient, engine: sa.Engine) -> None:
    response = client.post("/subscribe", data=FORM)
    assert response.status_code == 200
    assert "Check your email" in response.text
    [created] = list_subscriptions(engine)
    assert (created.status, created.exchange, created.base, created.direction) == ("pending", "index", "BTC", "up")
    assert created.threshold == 2.5
    assert queued_emails(engine) == [f"confirmation to {ADA}"]


# A pending one gets no second email at the same time.
@pytest.mark.parametrize(("status", "emailed"), [("pending", []), ("active", [f"manage to {ADA}"])])
def test_response_does_not_reveal_whether_subscription_exists(
    client: TestClient, engine: sa.Engine, status: str, emailed: list[str]
) -> None:
    first = client.post("/subscribe", data=FORM)
    created = client.post("/api/v1/subscriptions", json=BODY)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE subscriptions SET status = :status"), {"status": status})
    assert queued_emails(engine) == [f"confirmation to {ADA}"] * 2
    again = client.post("/subscribe", data=FORM)
    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert queued_emails(engine)[2:] == emailed
    repeated = client.post("/api/v1/subscriptions", json=BODY)
    assert (created.status_code, created.json()) == (repeated.status_code, repeated.json())
    assert (created.status_code, created.json()["status"]) == (202, "pending")
    assert len(list_subscriptions(engine)) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "ada at example"),
        ("email", "a@b.c\r\nBcc: x@y.z"),
        ("threshold_percent", ""),
        ("threshold_percent", "a lot"),
        ("threshold_percent", "2;5"),
        ("threshold_percent", "nan"),
        ("threshold_percent", "-1"),
        ("coin", "NOPE"),
        ("exchange", "mtgox"),
        ("direction", "sideways"),
    ],
)
def test_invalid_value_is_reported_at_its_field_and_input_is_kept(
    client: TestClient, engine: sa.Engine, field: str, value: str
) -> None:
    response = client.post("/subscribe", data=FORM | {field: value})
    assert response.status_code == 422
    assert field_error(response.text, field)
    assert re.search(rf'aria-describedby="[^"]*{field}-error"', response.text)
    if field != "email":
        assert f'value="{ADA}"' in response.text
    if field != "threshold_percent":
        assert 'value="2.5"' in response.text
    if field != "direction":
        assert '<option value="up" selected>' in response.text
    assert list_subscriptions(engine) == []

    rejected = client.post("/api/v1/subscriptions", json=FORM | {field: value})
    assert rejected.status_code == (404 if field in {"coin", "exchange"} else 422)
    assert rejected.json()["detail"]


KINDS = {
    "change_over_window": (
        {"change_window_seconds": "14400"},
        Rule("change_over_window", 2.5, "up", "price", 14400, 3600),
    ),
    "deviation_from_average": ({}, Rule("deviation_from_average", 2.5, "up", "price", 300, 3600)),
    "change_since_last": ({"cooldown_seconds": "0"}, Rule("change_since_last", 2.5, "up")),
    "crosses": ({"level": "45,000", "repeat": "once"}, Rule("crosses", 45_000, "up", "price", 0, 3600, repeat=False)),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_only_fields_of_the_chosen_kind_are_read(client: TestClient, engine: sa.Engine, kind: str) -> None:
    fields, rule = KINDS[kind]
    others = {"level": "invalid", "threshold_percent": "invalid", "average_window_seconds": "300"}
    number = "level" if kind == "crosses" else "threshold_percent"
    form = others | {number: "2.5"} | FORM_WITHOUT_NUMBER | {"kind": kind} | fields
    response = client.post("/subscribe", data=form)
    assert response.status_code == 200, response.text
    [created] = list_subscriptions(engine)
    assert created.rule == rule


def test_ambiguous_level_uses_the_reading_near_the_price(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"kind": "crosses"}
    for level in ("45,000", "45.000", "45 000", "45,000.00", "45.000,00"):
        assert client.post("/subscribe", data=form | {"level": level}).status_code == 200
    assert {created.threshold for created in list_subscriptions(engine)} == {45_000}
    client.post("/subscribe", data=form | {"coin": "XRP", "level": "1.234"})
    client.post("/subscribe", data=form | {"coin": "XRP", "level": "1,234", "direction": "down"})
    assert {created.threshold for created in list_subscriptions(engine) if created.base == "XRP"} == {1.234}
    ambiguous = client.post("/subscribe", data=form | {"coin": "XRP", "level": "70,000"})
    assert ambiguous.status_code == 422
    assert "70000 or 70." in field_error(ambiguous.text, "level")
    volume = form | {"metric": "volume_24h", "exchange": "coinbase", "level": "12,500"}
    assert client.post("/subscribe", data=volume).status_code == 200
    assert list_subscriptions(engine)[-1].threshold == 12_500


def test_last_day_is_included_and_must_be_in_the_future(client: TestClient, engine: sa.Engine) -> None:
    assert client.post("/subscribe", data=FORM | {"expires_on": "2026-11-20"}).status_code == 200
    assert list_subscriptions(engine)[0].expires_at == datetime(2026, 11, 21, tzinfo=UTC)
    for day in ("2026-11-19", "9999-12-31", "tomorrow"):
        page = client.post("/subscribe", data=FORM | {"expires_on": day})
        assert page.status_code == 422
        assert field_error(page.text, "expires_on")
        assert "<details open>" in page.text


def test_first_invalid_field_gets_the_focus(client: TestClient) -> None:
    page = client.post("/subscribe", data=FORM | {"email": "", "threshold_percent": "x", "coin": ""})
    focused = [tag for tag in re.findall(r"<(?:input|select)[^>]*>", page.text) if "autofocus" in tag]
    assert len(focused) == 1
    assert 'id="coin"' in focused[0]
    assert page.text.count('class="error"') == 3


INVALID = {
    "coin": "NOPE",
    "level": "high",
    "cooldown_seconds": "-5",
    "expires_on": "2026-11-01",
    "email": "ada at example",
}


@pytest.mark.parametrize("left_out", [None, *INVALID])
def test_all_invalid_fields_are_reported_at_once(client: TestClient, engine: sa.Engine, left_out: str | None) -> None:
    wrong = {name: value for name, value in INVALID.items() if name != left_out}
    page = client.post("/subscribe", data=FORM | {"kind": "crosses", "level": "45000"} | wrong)
    assert page.status_code == 422
    assert set(re.findall(r'id="(\w+)-error"', page.text)) == set(wrong)
    assert list_subscriptions(engine) == []


def test_api_reports_values_out_of_range_at_once(client: TestClient) -> None:
    body = {"coin": "BTC", "threshold_percent": 5000, "cooldown_seconds": 9_999_999, "window_seconds": 1}
    fields = field_errors(client.post("/api/v1/subscriptions", json=body | {"email": ADA}))
    assert set(fields) == {"threshold_percent", "cooldown_seconds", "window_seconds"}
    assert set(field_errors(client.get("/api/v1/backtest", params=body))) == set(fields)
    unknown = client.post("/api/v1/subscriptions", json=body | {"email": ADA, "coin": "NOPE"})
    assert (unknown.status_code, set(field_errors(unknown))) == (422, {"coin", *fields})


def zone_of(engine: sa.Engine, email: str) -> str:
    with engine.connect() as connection:
        query = sa.text("SELECT timezone FROM users WHERE email = :email")
        return str(connection.execute(query, {"email": email}).scalar_one())


@pytest.mark.parametrize(
    ("sent", "saved"), [("Europe/Berlin", "Europe/Berlin"), ("", "UTC"), ("Mars/Olympus", "UTC"), ("../etc", "UTC")]
)
def test_time_zone_of_the_browser_is_saved_for_a_new_address(
    client: TestClient, engine: sa.Engine, sent: str, saved: str
) -> None:
    assert client.post("/subscribe", data=FORM | {"timezone": sent}).status_code == 200
    assert zone_of(engine, ADA) == saved


def test_time_zone_of_a_known_address_is_kept(client: TestClient, engine: sa.Engine) -> None:
    """Whoever enters an address can't change settings of its owner, not even from UTC."""
    add_subscription(engine)
    client.post("/subscribe", data=FORM | {"timezone": "Asia/Tokyo"})
    assert zone_of(engine, ADA) == "UTC"
    client.post("/subscribe", data=FORM | {"timezone": "Asia/Tokyo", "email": BOB})
    client.post("/subscribe", data=FORM | {"timezone": "Europe/Berlin", "email": BOB, "coin": "ETH"})
    assert zone_of(engine, BOB) == "Asia/Tokyo"


def test_time_zone_of_an_operator_is_not_the_subscribers(
    inside_as: Callable[..., TestClient], engine: sa.Engine
) -> None:
    created = inside_as("admin").post("/coinwatch/subscribe", data=FORM | {"timezone": "Asia/Tokyo"})
    assert created.status_code == 201
    assert zone_of(engine, ADA) == "UTC"


def test_currency_can_be_chosen(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"exchange": "kraken", "quote": "EUR"}
    assert client.post("/subscribe", data=form).status_code == 200
    assert list_subscriptions(engine)[0].quote == "EUR"
    page = client.post("/subscribe", data=form | {"exchange": "coinbase"})
    assert page.status_code == 422
    assert "EUR" in field_error(page.text, "exchange")
    assert '<option value="EUR" selected>' in page.text


def test_rule_round_trips_through_the_form(engine: sa.Engine) -> None:
    expiring = Rule("crosses", 70_000.125, expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert rule_to_form(expiring)["expires_on"] == "2026-12-31"
    for rule in [rule for _, rule in KINDS.values()] + [expiring]:
        form = EMPTY_FORM | {"coin": "BTC"} | rule_to_form(rule)
        assert parse_alert_form(engine, form, NOW)[1] == rule


def test_percent_sign_is_accepted(client: TestClient, engine: sa.Engine) -> None:
    assert client.post("/subscribe", data=FORM | {"threshold_percent": " 2.5 % "}).status_code == 200
    assert list_subscriptions(engine)[0].threshold == 2.5


def test_operator_subscription_is_active_immediately(
    inside_as: Callable[..., TestClient], operator: TestClient, engine: sa.Engine
) -> None:
    page = inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    assert page.status_code == 201
    assert "Alert created" in page.text
    created = operator.post("/api/v1/subscriptions", json=BODY)
    assert created.status_code == 201
    assert created.json()["status"] == "active"
    assert [found.status for found in list_subscriptions(engine)] == ["active", "active"]
    assert queued_emails(engine) == []


def test_airflow_viewer_must_confirm_subscription(inside_as: Callable[..., TestClient], engine: sa.Engine) -> None:
    page = inside_as("viewer").post("/coinwatch/subscribe", data=FORM)
    assert "Check your email" in page.text
    assert list_subscriptions(engine)[0].status == "pending"


def test_operator_sees_that_subscription_exists(
    inside_as: Callable[..., TestClient], operator: TestClient, engine: sa.Engine
) -> None:
    operator.post("/api/v1/subscriptions", json=BODY)
    [existing] = list_subscriptions(engine)
    again = operator.post("/api/v1/subscriptions", json=BODY)
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")
    assert f"subscription {existing.id}" in again.json()["detail"]
    assert operator.post("/SubscribeCoin", json=LEGACY_BODY).status_code == 201
    assert operator.post("/SubscribeCoin", json=LEGACY_BODY).status_code == 409
    inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    page = inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    assert page.status_code == 409
    assert 'class="error" role="alert"' in page.text
    assert f'value="{ADA}"' in page.text


def test_api_reports_every_invalid_field(client: TestClient) -> None:
    response = client.post("/api/v1/subscriptions", json={"coin": "BTC", "threshold_percent": "x", "color": "red"})
    assert response.status_code == 422
    fields = field_errors(response)
    assert set(fields) == {"email", "threshold_percent", "color"}
    assert "required" in fields["email"]
    assert "not a number" in fields["threshold_percent"]
    assert "not a known field" in fields["color"]
    broken = client.post("/api/v1/subscriptions", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    assert "not valid JSON" in broken.json()["detail"]


def test_invalid_form_does_not_count_toward_rate_limit(client: TestClient) -> None:
    for invalid in ({"email": "nobody"}, {"threshold_percent": "5000"}):
        assert {client.post("/subscribe", data=FORM | invalid).status_code for _ in range(12)} == {422}
    assert client.post("/subscribe", data=FORM).status_code == 200


def test_subscriptions_are_rate_limited_per_caller(client: TestClient, engine: sa.Engine) -> None:
    statuses = [
        client.post("/api/v1/subscriptions", json=BODY | {"email": f"a{number}@example.org"}).status_code
        for number in range(12)
    ]
    assert statuses == [202] * 10 + [429] * 2
    assert len(queued_emails(engine)) == 10
    page = client.post("/subscribe", data=FORM)
    assert page.status_code == 429
    assert f'value="{ADA}"' in page.text
    legacy = client.post("/SubscribeCoin", json=LEGACY_BODY)
    assert legacy.status_code == 429
    assert 0 < int(legacy.headers["retry-after"]) <= 60


def test_response_does_not_reveal_how_many_alerts_an_address_has(
    client: TestClient, operator: TestClient, engine: sa.Engine
) -> None:
    new = client.post("/subscribe", data=FORM | {"email": BOB})
    api = client.post("/api/v1/subscriptions", json=BODY | {"email": BOB})
    for number in range(MAX_SUBSCRIPTIONS):
        add_subscription(engine, threshold=3 + number)
        add_subscription(engine, threshold=3.5 + number, confirmed=False)
    full = client.post("/subscribe", data=FORM)
    assert (full.status_code, full.text.replace(ADA, BOB)) == (new.status_code, new.text)
    again = client.post("/api/v1/subscriptions", json=BODY)
    assert (again.status_code, again.json()) == (api.status_code, api.json())
    refused = operator.post("/api/v1/subscriptions", json=BODY)
    assert refused.status_code == 422
    assert str(MAX_SUBSCRIPTIONS) in field_errors(refused)["email"]


def test_every_alert_gets_the_same_true_response(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    """The fourth alert within an hour gets no email of its own: the link of the first confirms it, too."""
    answers = {client.post("/subscribe", data=FORM | {"threshold_percent": str(number)}).text for number in range(1, 5)}
    assert len(answers) == 1
    assert "If you already have a confirmation email from us, it covers this alert, too." in " ".join(
        answers.pop().split()
    )
    assert queued_emails(engine) == [f"confirmation to {ADA}"] * 3
    created = list_subscriptions(engine)
    link = path_of(confirmation_link(settings, link_key(engine, created[0]), created[0].id))
    page = client.get(link).text
    assert [f"{number}% or more" in page for number in range(1, 5)] == [True] * 4
    assert {found.status for found in list_subscriptions(engine)} == {"pending"}
    ticked = {"chosen": "true", "alert": [str(found.id) for found in created]}
    assert "Alerts confirmed" in client.post(link, data=ticked).text
    assert {found.status for found in list_subscriptions(engine)} == {"active"}


def test_operators_are_not_rate_limited(operator: TestClient) -> None:
    for number in range(15):
        created = operator.post("/api/v1/subscriptions", json=BODY | {"email": f"a{number}@example.org"})
        assert created.status_code == 201
