"""Subscribing by form and API, confirming, unsubscribing."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import MAX_SUBSCRIPTIONS, Subscription, list_subscriptions, unsubscribe
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from coinwatch.web.services.subscription_requests import read_rule, typed_rule
from tests.support.subscriptions import subscribe
from tests.web.conftest import NOW

pytestmark = pytest.mark.usefixtures("market")
FORM_WITHOUT_NUMBER = {"email": "ada@example.org", "coin": "BTC", "exchange": "", "direction": "up"}
FORM = FORM_WITHOUT_NUMBER | {"threshold_percent": "2.5"}
BODY = {"email": "ada@example.org", "coin": "bitcoin", "threshold_percent": 2.5, "exchange": "kraken"}


def mails(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT kind || ' to ' || recipient FROM outbox ORDER BY id")).scalars())


def path_of(link: str) -> str:
    return re.sub(r"^https?://[^/]+", "", link)


@pytest.fixture
def pending(engine: sa.Engine) -> Subscription:
    return subscribe(engine, email="ada@example.org", coin="BTC", rule=Rule(threshold=2.5), now=NOW, confirmed=False)


def test_a_strangers_form_waits_for_confirmation_by_mail(client: TestClient, engine: sa.Engine) -> None:
    answer = client.post("/subscribe", data=FORM)
    assert answer.status_code == 200
    assert "Check your mail" in answer.text
    [made] = list_subscriptions(engine)
    assert (made.status, made.exchange, made.base, made.direction) == ("pending", "index", "BTC", "up")
    assert made.threshold == 2.5
    assert mails(engine) == ["confirmation to ada@example.org"]


# To one that waits for consent no second mail goes in the same moment.
@pytest.mark.parametrize(("status", "mailed"), [("pending", []), ("active", ["manage to ada@example.org"])])
def test_the_answer_is_the_same_whether_the_subscription_exists(
    client: TestClient, engine: sa.Engine, status: str, mailed: list[str]
) -> None:
    first = client.post("/subscribe", data=FORM)
    made = client.post("/api/v1/subscriptions", json=BODY)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE subscriptions SET status = :status"), {"status": status})
    assert mails(engine) == ["confirmation to ada@example.org"] * 2
    again = client.post("/subscribe", data=FORM)
    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert mails(engine)[2:] == mailed
    repeated = client.post("/api/v1/subscriptions", json=BODY)
    assert (made.status_code, made.json()) == (repeated.status_code, repeated.json())
    assert made.status_code == 202
    assert len(list_subscriptions(engine)) == 2


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "", "Please fill this in."),
        ("email", "ada at example", "not an e-mail address"),
        ("email", "a@b.c\r\nBcc: x@y.z", "not an e-mail address"),
        ("threshold_percent", "", "Please fill this in."),
        ("threshold_percent", "a lot", "is not a number"),
        ("threshold_percent", "2;5", "is not a number"),
        ("threshold_percent", "nan", "is not a number"),
        ("threshold_percent", "-1", "between 0.01 and 1000 percent"),
        ("coin", "NOPE", "is not watched"),
        ("exchange", "mtgox", "There is no exchange"),
        ("direction", "sideways", "is none of"),
    ],
)
def test_a_mistake_stands_at_its_field_and_keeps_what_was_typed(
    client: TestClient, engine: sa.Engine, field: str, value: str, message: str
) -> None:
    answer = client.post("/subscribe", data=FORM | {field: value})
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">(.*?)</p>', answer.text, re.DOTALL)
    assert problem, answer.text
    assert message in problem[1]
    assert f'aria-describedby="{field}-problem"' in answer.text
    if field != "email":
        assert 'value="ada@example.org"' in answer.text
    if field != "threshold_percent":
        assert 'value="2.5"' in answer.text
    assert '<option value="up" selected>' in answer.text or field == "direction"
    assert list_subscriptions(engine) == []

    body = FORM | {field: value}
    refused = client.post("/api/v1/subscriptions", json=body)
    assert refused.status_code in {404, 422}
    assert message in refused.json()["message"]


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
def test_each_kind_takes_its_own_fields_and_lets_the_others_be(
    client: TestClient, engine: sa.Engine, kind: str
) -> None:
    fields, rule = KINDS[kind]
    others = {"level": "nonsense", "threshold_percent": "nonsense", "average_window_seconds": "300"}
    own = "level" if kind == "crosses" else "threshold_percent"
    typed = others | {own: "2.5"} | FORM_WITHOUT_NUMBER | {"kind": kind} | fields
    answer = client.post("/subscribe", data=typed)
    assert answer.status_code == 200, answer.text
    [made] = list_subscriptions(engine)
    assert rule_of(made) == rule


def rule_of(made: Subscription) -> Rule:
    names = {"kind", "threshold", "direction", "metric", "window_seconds", "cooldown_seconds", "repeat", "expires_at"}
    return Rule(**{name: getattr(made, name) for name in names})


def test_a_level_that_can_be_read_in_two_ways_is_the_one_near_the_price(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"kind": "crosses"}
    for level in ("45,000", "45.000", "45 000", "45,000.00", "45.000,00"):
        assert client.post("/subscribe", data=form | {"level": level}).status_code == 200
    assert {made.threshold for made in list_subscriptions(engine)} == {45_000}
    client.post("/subscribe", data=form | {"coin": "XRP", "level": "1.234"})
    client.post("/subscribe", data=form | {"coin": "XRP", "level": "1,234", "direction": "down"})
    assert {made.threshold for made in list_subscriptions(engine) if made.base == "XRP"} == {1.234}
    asked = client.post("/subscribe", data=form | {"coin": "XRP", "level": "70,000"})
    assert asked.status_code == 422
    assert "“70,000” can be read in two ways. Please write 70000 or 70." in asked.text
    volume = form | {"metric": "volume_24h", "exchange": "coinbase", "level": "12,500"}
    assert client.post("/subscribe", data=volume).status_code == 200
    assert list_subscriptions(engine)[-1].threshold == 12_500


def test_the_last_day_is_whole_and_has_to_be_one_to_come(client: TestClient, engine: sa.Engine) -> None:
    assert client.post("/subscribe", data=FORM | {"expires_on": "2026-11-20"}).status_code == 200
    assert list_subscriptions(engine)[0].expires_at == datetime(2026, 11, 21, tzinfo=UTC)
    for day, message in (
        ("2026-11-19", "has to lie in the future"),
        ("9999-12-31", "before the year 3000"),
        ("tomorrow", "is not a date"),
    ):
        page = client.post("/subscribe", data=FORM | {"expires_on": day})
        assert page.status_code == 422
        assert message in page.text.split('id="expires_on-problem"')[1]
        assert "<details open>" in page.text


def test_the_first_wrong_field_in_the_forms_order_gets_the_focus(client: TestClient) -> None:
    page = client.post("/subscribe", data=FORM | {"email": "", "threshold_percent": "x", "coin": ""})
    focused = [tag for tag in re.findall(r"<(?:input|select)[^>]*>", page.text) if "autofocus" in tag]
    assert len(focused) == 1
    assert 'id="coin"' in focused[0]
    assert page.text.count('class="problem"') == 3


def test_a_currency_can_be_chosen_where_there_are_several(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"exchange": "kraken", "quote": "EUR"}
    assert client.post("/subscribe", data=form).status_code == 200
    assert list_subscriptions(engine)[0].quote == "EUR"
    page = client.post("/subscribe", data=form | {"exchange": "coinbase"})
    assert page.status_code == 422
    assert "BTC is not priced in EUR at coinbase" in html.unescape(page.text)
    assert '<option value="EUR" selected>' in page.text


def test_a_rule_is_shown_in_the_form_as_it_was_typed() -> None:
    for fields, rule in KINDS.values():
        assert fields.items() <= typed_rule(rule).items() or rule.kind == "crosses"
        assert read_rule(typed_rule(rule), lambda: None) == (rule, {})
    expiring = Rule("crosses", 70_000.125, expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert typed_rule(expiring)["expires_on"] == "2026-12-31"
    assert read_rule(typed_rule(expiring), lambda: None) == (expiring, {})


def test_a_percent_sign_is_understood(client: TestClient, engine: sa.Engine) -> None:
    assert client.post("/subscribe", data=FORM | {"threshold_percent": " 2.5 % "}).status_code == 200
    assert list_subscriptions(engine)[0].threshold == 2.5


def test_an_operators_subscription_is_active_at_once(
    inside_as: Callable[..., TestClient], operator: TestClient, engine: sa.Engine
) -> None:
    page = inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    assert page.status_code == 201
    assert "Alert created" in page.text
    made = operator.post("/api/v1/subscriptions", json=BODY)
    assert made.status_code == 201
    assert made.json()["status"] == "active"
    assert [found.status for found in list_subscriptions(engine)] == ["active", "active"]
    assert mails(engine) == []


def test_a_viewer_of_airflow_needs_the_confirmation_too(
    inside_as: Callable[..., TestClient], engine: sa.Engine
) -> None:
    page = inside_as("viewer").post("/coinwatch/subscribe", data=FORM)
    assert "Check your mail" in page.text
    assert list_subscriptions(engine)[0].status == "pending"


def test_an_operator_learns_that_it_exists(inside_as: Callable[..., TestClient], operator: TestClient) -> None:
    operator.post("/api/v1/subscriptions", json=BODY)
    again = operator.post("/api/v1/subscriptions", json=BODY)
    assert again.status_code == 409
    assert again.json()["error"] == "already_exists"
    assert "it is subscription 1." in again.json()["message"]
    old = operator.post("/SubscribeCoin", json={"email": "ada@example.org", "coin_name": "BTC", "percentage": 2})
    assert old.status_code == 201
    old = operator.post("/SubscribeCoin", json={"email": "ada@example.org", "coin_name": "BTC", "percentage": 2})
    assert old.status_code == 409
    inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    page = inside_as("admin").post("/coinwatch/subscribe", data=FORM)
    assert page.status_code == 409
    assert "already gets alerts" in page.text
    assert 'value="ada@example.org"' in page.text


def test_the_api_names_every_wrong_field(client: TestClient) -> None:
    answer = client.post("/api/v1/subscriptions", json={"coin": "BTC", "threshold_percent": "x", "colour": "red"})
    assert answer.status_code == 422
    assert answer.json()["fields"] == {
        "email": "Please fill this in.",
        "threshold_percent": "'x' is not a number. Write it like 2.5, with a point.",
        "colour": "There is no such field. Check its spelling.",
    }
    broken = client.post("/api/v1/subscriptions", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    assert broken.json()["message"] == "The body is not valid JSON."


def test_confirming_takes_the_button_not_the_link(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(confirmation_link(settings, pending.id))
    page = client.get(path)
    assert page.status_code == 200
    assert "BTC/USD" in page.text
    assert "ada@example.org" not in page.text
    assert list_subscriptions(engine)[0].status == "pending", "a scanner that follows links confirms nothing"
    for _ in range(2):
        assert "Alert confirmed" in client.post(path).text
    assert "Alert confirmed" in client.get(path).text, "nothing is left to be asked about"
    assert list_subscriptions(engine)[0].status == "active"
    unsubscribe(engine, pending.id)
    assert "This alert has ended" in client.get(path).text


def test_unsubscribing_takes_the_button_not_the_link(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(unsubscribe_link(settings, [pending.id]))
    assert "End this alert?" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "pending"
    for _ in range(2):
        assert "Alert ended" in client.post(path).text
    assert list_subscriptions(engine)[0].status == "unsubscribed"


def test_one_click_unsubscribes_every_alert_of_the_mail_without_cookies(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    other = subscribe(engine, email="ada@example.org", coin="ETH", rule=Rule(threshold=1), now=NOW, confirmed=True)
    path = path_of(unsubscribe_link(settings, [pending.id, other.id]))
    answer = client.post(path, data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert {found.status for found in list_subscriptions(engine)} == {"unsubscribed"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/confirm/", "/unsubscribe/"])
def test_a_forged_or_cut_off_link_does_nothing(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription, method: str, path: str
) -> None:
    confirming = confirmation_link(settings, pending.id).rpartition("/")[2]
    unsubscribing = unsubscribe_link(settings, [pending.id]).rpartition("/")[2]
    wrong_kind = unsubscribing if path == "/confirm/" else confirming
    right_kind = confirming if path == "/confirm/" else unsubscribing
    for token in ("x", right_kind[:-1], forged(right_kind), wrong_kind):
        answer = client.request(method, path + token, headers={"Accept": "text/html"})
        assert answer.status_code == 422, token
        assert "link" in answer.text
    assert list_subscriptions(engine)[0].status == "pending"


def forged(token: str) -> str:
    """The token with the first letter of its signature changed: the last one holds bits that do not count."""
    head, dot, signature = token.rpartition(".")
    return head + dot + ("B" if signature[0] == "A" else "A") + signature[1:]


def test_a_mistyped_address_or_number_costs_no_turn(client: TestClient) -> None:
    for wrong in ({"email": "nobody"}, {"threshold_percent": "5000"}):
        answers = {client.post("/subscribe", data=FORM | wrong).status_code for _ in range(12)}
        assert answers == {422}
    assert client.post("/subscribe", data=FORM).status_code == 200


def test_one_caller_cannot_fill_the_outbox(client: TestClient, engine: sa.Engine) -> None:
    statuses = [
        client.post("/api/v1/subscriptions", json=BODY | {"email": f"a{number}@example.org"}).status_code
        for number in range(12)
    ]
    assert statuses == [202] * 10 + [429] * 2
    assert len(mails(engine)) == 10
    page = client.post("/subscribe", data=FORM)
    assert page.status_code == 429
    assert "Please try again in" in page.text
    assert 'value="ada@example.org"' in page.text
    old = client.post("/SubscribeCoin", json={"email": "b@example.org", "coin_name": "BTC", "percentage": 2})
    assert old.status_code == 429
    assert 0 < int(old.headers["retry-after"]) <= 60


def test_nobody_is_given_more_alerts_than_anybody_may_have(client: TestClient, engine: sa.Engine) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        rule = Rule(threshold=3 + number)
        subscribe(engine, email="ada@example.org", coin="BTC", rule=rule, now=NOW, confirmed=True)
    page = client.post("/subscribe", data=FORM)
    assert page.status_code == 422
    assert "has 100 alerts, the most it may have" in page.text.split('id="email-problem"')[1]
    assert client.post("/api/v1/subscriptions", json=BODY).json()["fields"].keys() == {"email"}


def test_operators_are_not_limited(operator: TestClient) -> None:
    for number in range(15):
        made = operator.post("/api/v1/subscriptions", json=BODY | {"email": f"a{number}@example.org"})
        assert made.status_code == 201
