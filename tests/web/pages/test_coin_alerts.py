"""The subscriber's own alerts on a coin's chart, and the feed of what fired on its index."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscription_changes import pause
from coinwatch.settings import Settings
from tests.web.seed import NOW
from tests.web.subscribing import ADA, BOB, add_alerts, add_subscription, sign_in

pytestmark = pytest.mark.usefixtures("market")

ATOM = "{http://www.w3.org/2005/Atom}"
SET_STEP = sa.text("UPDATE subscriptions SET step_value = 50000, step_rises = true, step_at = :now WHERE id = :id")


def own_alerts(client: TestClient, query: str = "") -> tuple[list[Any], list[Any]]:
    page = client.get(f"/coins/BTC?{query}").text
    found = re.search(r'id="chart-data">(.*?)</script>', page, re.DOTALL)
    assert found
    data = json.loads(found[1])
    return data["levels"], data["markers"]


def feed(client: TestClient, coin: str = "BTC") -> ElementTree.Element:
    response = client.get(f"/coins/{coin}/alerts.atom")
    assert response.headers["content-type"].startswith("application/atom+xml")
    return ElementTree.fromstring(response.content)


def texts(parent: ElementTree.Element, path: str) -> list[str]:
    return [element.text or "" for element in parent.findall("/".join(f"{ATOM}{name}" for name in path.split("/")))]


def test_levels_and_fired_alerts_of_the_signed_in_subscriber_are_on_the_chart(
    client: TestClient, engine: sa.Engine
) -> None:
    level = add_subscription(engine, kind="crosses", threshold=50_000.0, direction="up")
    add_subscription(engine, kind="crosses", threshold=1.0, direction="up", metric="volume_24h")
    add_subscription(engine, coin="ETH", kind="crosses", threshold=3000.0, direction="up")
    paused = add_subscription(engine, kind="crosses", threshold=60_000.0, direction="up")
    pause(engine, paused.user_id, paused.id)
    add_subscription(engine, BOB, kind="crosses", threshold=70_000.0, direction="up")
    window = add_subscription(engine, kind="change_over_window", window_seconds=3600)
    add_alerts(engine, window, 3)
    assert own_alerts(client) == ([], []), "not signed in"
    sign_in(client, engine)
    levels, markers = own_alerts(client)
    assert levels == [{"value": level.threshold, "label": "Alert, rises to"}]
    moments = [NOW - timedelta(minutes=minutes) for minutes in (3, 2, 1)]
    assert [marker["time"] for marker in markers] == [moment.timestamp() for moment in moments]
    assert markers[0]["label"] == "up 3% in 1 hour"
    assert {marker["direction"] for marker in markers} == {"up"}
    assert own_alerts(client, "exchange=kraken") == ([], []), "alerts on the index"
    assert own_alerts(client, "compare=kraken") == ([], []), "prices have no place among percentages"
    earlier = (
        f"range=custom&start={NOW - timedelta(hours=9):%Y-%m-%dT%H:%M}&end={NOW - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    )
    assert own_alerts(client, earlier) == (levels, [])


def test_ladder_that_has_fired_shows_its_next_step(client: TestClient, engine: sa.Engine) -> None:
    ladder = add_subscription(engine, kind="crosses", threshold=45_000.0, direction="up", ladder_percent=10.0)
    with engine.begin() as connection:
        connection.execute(SET_STEP, {"id": ladder.id, "now": NOW})
    sign_in(client, engine)
    [level], _ = own_alerts(client)
    assert level == {"value": pytest.approx(55_000), "label": "Alert, next step"}


def test_feed_is_valid_atom_without_anything_personal(
    client: TestClient, engine: sa.Engine, settings: Settings
) -> None:
    rule: dict[str, Any] = {"kind": "change_over_window", "window_seconds": 3600}
    for email in (ADA, BOB):
        add_alerts(engine, add_subscription(engine, email, **rule), 3)
    add_alerts(engine, add_subscription(engine, coin="ETH", **rule), 2)
    document = feed(client)
    address = f"{settings.public_url}/coins/BTC/alerts.atom"
    assert document.tag == f"{ATOM}feed"
    links = {link.get("rel"): link.get("href") for link in document.findall(f"{ATOM}link")}
    assert links == {"self": address, "alternate": f"{settings.public_url}/coins/BTC"}
    assert texts(document, "id") == [address]
    assert texts(document, "author/name") == ["coinwatch"]
    entries = document.findall(f"{ATOM}entry")
    assert len(entries) == 3, "equal alerts of two people are one entry"
    ids = texts(document, "entry/id")
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", each) for each in ids)
    for entry in entries:
        for name in ("id", "title", "updated", "summary"):
            assert texts(entry, name)[0], name
        assert datetime.fromisoformat(texts(entry, "updated")[0]) <= datetime.fromisoformat(
            texts(document, "updated")[0]
        )
    assert texts(document, "entry/published") == sorted(texts(document, "entry/published"), reverse=True)
    assert "BTC up 1% in 1 hour" in texts(document, "entry/title")[0]
    assert texts(feed(client), "entry/id") == ids
    for secret in (ADA, BOB, "subscription", "user"):
        assert secret not in client.get("/coins/BTC/alerts.atom").text


def test_feed_covers_the_index_only_and_may_be_empty(client: TestClient, engine: sa.Engine) -> None:
    old = add_subscription(engine)
    add_alerts(engine, old, 1)
    with engine.begin() as connection:
        month = sa.text("UPDATE alerts SET created_at = created_at - interval '31 days'")
        connection.execute(month)
    document = feed(client)
    assert document.findall(f"{ATOM}entry") == []
    assert texts(document, "updated") == ["2026-11-20T00:00:00Z"]
    assert client.get("/coins/NOPE/alerts.atom").status_code == 404


def test_feed_is_not_sent_again_until_it_changes(client: TestClient, engine: sa.Engine) -> None:
    subscription = add_subscription(engine)
    add_alerts(engine, subscription, 1)
    first = client.get("/coins/BTC/alerts.atom")
    assert "max-age=60" in first.headers["cache-control"]
    assert parsedate_to_datetime(first.headers["last-modified"]) == NOW.replace(microsecond=0).astimezone(UTC)
    known = {"If-None-Match": first.headers["etag"]}
    assert client.get("/coins/BTC/alerts.atom", headers=known).status_code == 304
    assert client.get("/coins/BTC/alerts.atom", headers={"If-None-Match": '"other"'}).status_code == 200


def test_page_links_to_the_feed(client: TestClient) -> None:
    page = client.get("/coins/BTC").text
    found = re.search(r'<link rel="alternate" type="application/atom\+xml" href="([^"]+)"', page)
    assert found
    assert client.get(found[1]).status_code == 200
