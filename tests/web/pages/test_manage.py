"""A person's own page: what it shows, what its buttons do, and that nobody else gets anywhere with it."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.mail import links
from coinwatch.mail.links import manage_link
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.settings import Settings
from tests.support.subscriptions import subscribe
from tests.web.conftest import NOW
from tests.web.pages.test_subscribe import forged, mails

pytestmark = pytest.mark.usefixtures("market")
ADA, BOB = "ada@example.org", "bob@example.org"
HTML = {"Accept": "text/html"}
TELL = sa.text("""
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, state, created_at)
  SELECT :id, CAST(:newest AS timestamptz) - make_interval(mins => step), 100 + step, 100, NULL, step, 'notified', :newest
  FROM generate_series(1, :count) step ORDER BY step DESC
""")


def add(engine: sa.Engine, email: str = ADA, *, confirmed: bool = True, **rule: object) -> Subscription:
    wanted = Rule(**({"threshold": 5.0} | rule))  # type: ignore[arg-type]
    return subscribe(engine, email=email, coin="BTC", rule=wanted, now=NOW, confirmed=confirmed)


@pytest.fixture
def own(engine: sa.Engine) -> Subscription:
    return add(engine)


@pytest.fixture
def page(engine: sa.Engine, settings: Settings, own: Subscription) -> str:
    """Path of Ada's own page."""
    return path_of_page(engine, settings)


def path_of_page(engine: sa.Engine, settings: Settings, email: str = ADA) -> str:
    person = find_user_id(engine, email)
    assert person is not None
    return manage_link(settings, person).removeprefix(settings.public_url)


def press(client: TestClient, path: str, **data: object) -> str:
    """Press a button; the text of the page one is sent back to."""
    answer = client.post(path, data={name: str(value) for name, value in data.items()})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def test_the_page_shows_everything_and_a_get_changes_nothing(
    client: TestClient, engine: sa.Engine, settings: Settings, own: Subscription, page: str
) -> None:
    add(engine, kind="crosses", threshold=2500.0, direction="up", repeat=False, confirmed=False)
    add(engine, BOB, threshold=33.0)
    with engine.begin() as connection:
        connection.execute(TELL, {"id": own.id, "newest": NOW, "count": 3})
    before = get_subscriber(engine, 1)
    shown = client.get(page)
    assert shown.status_code == 200
    for words in (
        ADA,
        "moves by 5% or more",
        "rises to 2,500 USD",
        "Active",
        "Waits for your confirmation",
        "3 alerts",
        "+1.00%",
        "all exchanges",
    ):
        assert words in shown.text, words
    assert "33%" not in shown.text
    assert BOB not in shown.text
    for path in ("/history", "/erase", "/export", f"/alerts/{own.id}"):
        assert client.get(page + path).status_code == 200
    assert get_subscriber(engine, 1) == before
    assert mails(engine) == [f"confirmation to {ADA}"]


def test_the_buttons_of_an_alert(client: TestClient, engine: sa.Engine, own: Subscription, page: str) -> None:
    alert = f"{page}/alerts/{own.id}"
    assert "is paused" in press(client, f"{alert}/pause")
    assert list_subscriptions(engine)[0].status == "paused"
    assert "active again" in press(client, f"{alert}/resume")
    assert "Asleep until" in press(client, f"{alert}/snooze", hours=8)
    assert list_subscriptions(engine)[0].snoozed_until == NOW + timedelta(hours=8)
    assert "awake again" in press(client, f"{alert}/wake")
    assert list_subscriptions(engine)[0].snoozed_until is None
    changed = press(client, alert, threshold_percent="2,5", direction="down", cooldown_seconds="3600", repeat="once")
    assert "falls by 2.5% or more" in changed
    [found] = list_subscriptions(engine)
    assert (found.threshold, found.direction, found.cooldown_seconds, found.repeat) == (2.5, "down", 3600, False)
    assert "No alerts yet" in press(client, f"{alert}/delete")
    assert list_subscriptions(engine) == []
    gone = client.post(f"{alert}/pause", headers=HTML)
    assert gone.status_code == 404
    assert "no such alert any more" in gone.text
    assert "No alerts yet" in gone.text, "the page itself is there all the same"


def test_what_waits_is_confirmed_by_the_button_alone(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    waiting = add(engine, confirmed=False)
    page = path_of_page(engine, settings)
    client.get(page)
    assert list_subscriptions(engine)[0].status == "pending"
    assert "confirmed and active" in press(client, f"{page}/alerts/{waiting.id}/confirm")
    assert list_subscriptions(engine)[0].status == "active"


def test_a_mistake_in_an_edit_is_shown_where_it_is(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str
) -> None:
    alert = f"{page}/alerts/{own.id}"
    for typed, words in (
        ({"threshold_percent": "a lot"}, "is not a number"),
        ({"threshold_percent": "0"}, "between 0.01 and 1000 percent"),
        ({"threshold_percent": "5", "expires_on": "2020-01-31"}, "has to lie in the future"),
        ({"threshold_percent": "5", "cooldown_seconds": "99999999"}, "0 to 30 days"),
    ):
        answer = client.post(alert, data=typed)
        assert answer.status_code == 422
        assert words in answer.text
    other = add(engine, threshold=7.0)
    twin = client.post(alert, data={"threshold_percent": "7", "cooldown_seconds": "0"})
    assert twin.status_code == 409
    assert f"number {other.id}" in twin.text
    assert list_subscriptions(engine)[0] == own


def test_an_edit_keeps_the_moment_of_an_end_whose_day_was_not_touched(
    client: TestClient, engine: sa.Engine, settings: Settings
) -> None:
    end = NOW + timedelta(days=3)
    own = add(engine, expires_at=end)
    page = path_of_page(engine, settings)
    shown = client.get(f"{page}/alerts/{own.id}").text
    [day] = re.findall(r'name="expires_on" type="date" value="([^"]+)"', shown)
    press(client, f"{page}/alerts/{own.id}", threshold_percent="6", expires_on=day)
    assert list_subscriptions(engine)[0].expires_at == end
    press(client, f"{page}/alerts/{own.id}", threshold_percent="6", expires_on="")
    assert list_subscriptions(engine)[0].expires_at is None


def test_preferences_are_saved_or_refused_at_their_field(client: TestClient, page: str) -> None:
    wishes = {"timezone": "Asia/Tokyo", "quiet_from": "22:00", "quiet_until": "07:30", "digest": "weekly"}
    saved = press(client, f"{page}/preferences", **wishes)
    assert "Your wishes are saved" in saved
    assert 'value="22:00"' in saved
    assert "Times are in Asia/Tokyo" in saved
    for wrong, field, words in (
        ({"timezone": "Tokyo"}, "timezone", "Did you mean"),
        ({"quiet_until": ""}, "quiet_until", "both a beginning and an end"),
        ({"quiet_from": "25:00"}, "quiet_from", "Write it like 22:30"),
        ({"digest": "hourly"}, "digest", "none, daily, weekly"),
    ):
        answer = client.post(f"{page}/preferences", data=wishes | wrong)
        assert answer.status_code == 422
        assert f'id="{field}-problem"' in answer.text
        assert words in answer.text
        assert 'value="22:00"' in answer.text or field == "quiet_from", "what was typed stays"
    assert 'value="Asia/Tokyo"' in client.get(page).text


def test_times_are_told_in_the_persons_zone(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str
) -> None:
    with engine.begin() as connection:
        connection.execute(TELL, {"id": own.id, "newest": NOW, "count": 1})
    assert "20 Nov 2026, 11:59" in client.get(page).text
    assert "20 Nov 2026, 20:59" in press(client, f"{page}/preferences", timezone="Asia/Tokyo")
    assert "20 Nov 2026, 20:59" in client.get(f"{page}/history").text


def test_the_page_says_why_alerts_are_not_told_yet(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str
) -> None:
    hold = (
        "INSERT INTO held_users SELECT id, 'quiet_hours', :now, CAST(:now AS timestamptz) + interval '8 h' FROM users"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(hold), {"now": NOW})
    assert "told together, from <time" in client.get(page).text
    assert "told together, within minutes" in press(client, f"{page}/preferences", digest="daily")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE held_users SET recheck_at = 'infinity'"))
    assert "told together, with your next alert" in client.get(page).text


def test_history_is_paged(client: TestClient, engine: sa.Engine, own: Subscription, page: str) -> None:
    with engine.begin() as connection:
        connection.execute(TELL, {"id": own.id, "newest": NOW, "count": 70})
    newest = client.get(f"{page}/history").text
    assert (newest.count("<tr>"), "+1.00%" in newest) == (51, True)
    [older] = re.findall(r'href="([^"]+before=\d+)"', newest)
    rest = client.get(older).text
    assert (rest.count("<tr>"), "+70.00%" in rest, "Older</a>" in rest) == (21, True, False)


def test_a_refused_address_is_explained_and_woken(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str
) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550 no <such> user'"), {"now": NOW}
        )
        connection.execute(sa.text("UPDATE subscriptions SET status = 'paused'"))
    shown = client.get(page).text
    assert "Mails to you are stopped" in shown
    assert "550 no &lt;such&gt; user" in shown
    add(engine, threshold=8.0)
    woken = press(client, f"{page}/address")
    assert "Mails to you are stopped" not in woken
    assert "paused alerts are active again" in press(client, f"{page}/resume")
    assert {found.status for found in list_subscriptions(engine)} == {"active"}


def test_an_alert_whose_price_stays_away_says_so(client: TestClient, engine: sa.Engine, page: str) -> None:
    assert "this alert cannot fire" not in client.get(page).text
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE latest_quotes SET observed_at = observed_at - interval '25 hours'"))
    assert client.get(page).text.count("so this alert cannot fire") == 1
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE subscriptions SET status = 'paused'"))
    assert "this alert cannot fire" not in client.get(page).text


def test_everything_can_be_ended_taken_along_and_erased(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str
) -> None:
    add(engine, BOB)
    data = client.get(f"{page}/export")
    assert data.headers["content-disposition"] == 'attachment; filename="coinwatch.json"'
    assert data.headers["cache-control"] == "no-store"
    assert (data.json()["email"], data.json()["subscriptions"][0]["id"]) == (ADA, own.id)
    assert "All your alerts are ended" in press(client, f"{page}/unsubscribe")
    assert [found.status for found in list_subscriptions(engine, ADA)] == ["unsubscribed"]
    assert "Nobody can bring it back" in client.get(f"{page}/erase").text
    assert find_user_id(engine, ADA) is not None
    erased = client.post(f"{page}/erase")
    assert "Everything is erased" in erased.text
    assert (find_user_id(engine, ADA), len(list_subscriptions(engine))) == (None, 1)
    for method in ("GET", "POST"):
        again = client.request(method, f"{page}/erase", headers=HTML)
        assert again.status_code == 404
        assert "has been erased" in again.text
    assert client.get(page, headers=HTML).status_code == 404


@pytest.mark.parametrize("old", [False, True], ids=["forged", "too old"])
def test_a_lost_link_offers_a_new_one(
    client: TestClient, engine: sa.Engine, own: Subscription, page: str, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    if old:
        monkeypatch.setattr(links, "MANAGE_SECONDS", -1)
    head, _, token = page.rpartition("/")
    paths = ["", "/history", "/erase", "/export", f"/alerts/{own.id}"]
    posts = ["/preferences", "/address", "/resume", "/unsubscribe", "/erase", f"/alerts/{own.id}"]
    posts += [f"/alerts/{own.id}/{action}" for action in ("pause", "delete", "confirm")]
    wrong = f"{head}/{token if old else forged(token)}"
    for method, tails in (("GET", paths), ("POST", posts)):
        for tail in tails:
            answer = client.request(method, wrong + tail, headers=HTML)
            assert answer.status_code == 422, tail
            assert "This link does not work" in answer.text
            assert "Mail me the link" in answer.text
    assert list_subscriptions(engine) == [own]


def test_a_new_link_is_mailed_and_the_answer_tells_nobody_who_is_known(client: TestClient, engine: sa.Engine) -> None:
    add(engine)
    known = client.post("/manage", data={"email": ADA})
    unknown = client.post("/manage", data={"email": "eve@example.org"})
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(ADA, "eve@example.org") == unknown.text
    assert mails(engine) == [f"manage to {ADA}"]
    with engine.connect() as connection:
        payload = connection.execute(sa.text("SELECT payload FROM outbox")).scalar_one()
    assert payload == {"reason": "asked", "condition": None, "pair": None}
    wrong = client.post("/manage", data={"email": "nobody"})
    assert wrong.status_code == 422
    assert "name@example.org" in wrong.text


def test_one_caller_cannot_ask_for_ever(client: TestClient, engine: sa.Engine) -> None:
    add(engine)
    asked = [client.post("/manage", data={"email": ADA}).status_code for _ in range(12)]
    assert asked == [200] * 10 + [429] * 2
    assert len(mails(engine)) == 1, "the clock of this test stands still"
    assert "Please try again in" in client.post("/manage", data={"email": ADA}).text


def test_the_token_is_in_no_log_and_goes_nowhere(client: TestClient, own: Subscription, page: str) -> None:
    with capture_logs() as logs:
        answer = client.get(page, headers=HTML)
        client.post(f"{page}/alerts/{own.id}/pause")
        client.post(f"{page}/alerts/{own.id}/fly")
        client.post(f"{page}/alerts/{10**30}/pause")
    token = page.rpartition("/")[2]
    assert next(log["path"] for log in logs if log["event"] == "request") == "/manage/{token}"
    assert token not in str(logs)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert '<meta name="robots" content="noindex">' in answer.text


def test_inside_airflow_the_page_needs_its_login_like_every_page(
    inside_as: Callable[..., TestClient], page: str
) -> None:
    assert inside_as(None).get(f"/coinwatch{page}").status_code == 401
    shown = inside_as("viewer").get(f"/coinwatch{page}").text
    assert f'action="/coinwatch{page}/preferences"' in shown
    back = inside_as("viewer").post(f"/coinwatch{page}/resume", headers={"Sec-Fetch-Site": "same-origin"})
    assert back.headers["location"].startswith(f"/coinwatch{page}?done=")


def test_leaving_works_for_alerts_that_were_deleted_since(
    client: TestClient, engine: sa.Engine, settings: Settings, own: Subscription, page: str
) -> None:
    other = add(engine, threshold=8.0)
    leave = links.unsubscribe_link(settings, [own.id, other.id]).removeprefix(settings.public_url)
    press(client, f"{page}/alerts/{own.id}/delete")
    assert "End this alert?" in client.get(leave).text
    assert page.rpartition(".")[0].rpartition(".")[0] in client.get(leave).text, "the way to the own page"
    assert "Alert ended" in client.post(leave).text
    assert "Alert ended" in client.get(leave).text, "nothing is left to be asked about"
    assert list_subscriptions(engine)[0].status == "unsubscribed"
    press(client, f"{page}/alerts/{other.id}/delete")
    gone = client.post(leave)
    assert gone.status_code == 200
    assert "It was deleted before" in gone.text


def test_an_old_way_out_is_no_way_in(
    client: TestClient, engine: sa.Engine, settings: Settings, own: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = links.unsubscribe_link(settings, [own.id]).removeprefix(settings.public_url)
    assert "/manage/" in client.get(leave).text
    monkeypatch.setattr("coinwatch.web.pages.email_links.MANAGE_SECONDS", -1)
    assert "/manage/" not in client.get(leave).text
    assert 'href="/manage"' in client.post(leave).text
