"""The page behind the links in alert emails that snooze or pause one alert."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.alerts.users import sign_out_everywhere
from coinwatch.mail.links import manage_link, snooze_link
from coinwatch.settings import Settings
from tests.web.seed import NOW
from tests.web.subscribing import ADA, BOB, add_subscription, forged, link_key, path_of, sign_in

pytestmark = pytest.mark.usefixtures("market")
HTML = {"Accept": "text/html"}


@pytest.fixture
def subscription(engine: sa.Engine, market: None) -> Subscription:
    return add_subscription(engine)


@pytest.fixture
def link(engine: sa.Engine, settings: Settings, subscription: Subscription) -> str:
    return path_of(snooze_link(settings, link_key(engine, subscription), subscription.id))


@pytest.mark.parametrize(("hours", "button"), [("1", "1 hour"), ("24", "1 day"), ("168", "1 week"), ("x", "1 day")])
def test_one_button_snoozes_without_signing_in(
    client: TestClient, engine: sa.Engine, link: str, subscription: Subscription, hours: str, button: str
) -> None:
    page = client.get(f"{link}?hours={hours}").text
    assert page.count("<button") - page.count('type="button"') == 1
    assert f"Snooze for {button}</button>" in page
    assert ADA not in page
    assert list_subscriptions(engine) == [subscription], "a scanner that follows links changes nothing"
    chosen = int(hours) if hours != "x" else 24
    done = client.post(link, data={"hours": str(chosen)})
    assert (done.status_code, "Alert snoozed" in done.text, "set-cookie" in done.headers) == (200, True, False)
    assert list_subscriptions(engine)[0].snoozed_until == NOW + timedelta(hours=chosen)


def test_alert_is_paused(client: TestClient, engine: sa.Engine, link: str) -> None:
    assert "Pause this alert</button>" in client.get(f"{link}?hours=0").text
    for _ in range(2):
        assert "Alert paused" in client.post(link, data={"hours": "0"}).text
    assert list_subscriptions(engine)[0].status == "paused"
    page = client.get(link).text
    assert ("<button" in page, "nothing to snooze" in page) == (False, True)
    assert client.post(link, data={"hours": "1"}).status_code == 409


@pytest.mark.parametrize("hours", ["", "-1", "2", "1e3", "999999999999999999999", None])
def test_other_times_are_rejected(
    client: TestClient, engine: sa.Engine, link: str, subscription: Subscription, hours: str | None
) -> None:
    assert client.post(link, data={} if hours is None else {"hours": hours}).status_code == 422
    assert list_subscriptions(engine) == [subscription]


def test_link_reaches_one_alert_only(
    client: TestClient, engine: sa.Engine, settings: Settings, link: str, subscription: Subscription
) -> None:
    bobs = add_subscription(engine, BOB)
    of_bobs = path_of(snooze_link(settings, link_key(engine, subscription), bobs.id))
    for method in ("GET", "POST"):
        assert client.request(method, of_bobs, data={"hours": "1"}).status_code == 404, "Ada's key, Bob's alert"
        for token in ("x", forged(link), path_of(manage_link(settings, link_key(engine, subscription)))):
            path = f"/snooze/{token.rpartition('/')[2]}"
            assert client.request(method, path, data={"hours": "1"}, headers=HTML).status_code == 422, token
    changes.delete(engine, subscription.user_id, subscription.id)
    assert client.get(link, headers=HTML).status_code == 404
    assert list_subscriptions(engine) == [bobs]


def test_link_works_after_signing_out_everywhere(client: TestClient, engine: sa.Engine, link: str) -> None:
    sign_out_everywhere(engine, list_subscriptions(engine)[0].user_id)
    assert "Alert snoozed" in client.post(link, data={"hours": "1"}).text


def test_other_sites_cannot_press_the_button(
    client: TestClient, engine: sa.Engine, link: str, subscription: Subscription
) -> None:
    sign_in(client, engine)
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(link, data={"hours": "1"}, headers=headers).status_code == 403
    assert list_subscriptions(engine) == [subscription]
