"""Every kind of email through a real SMTP server: valid, readable, with a chart and working links."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from PIL import Image

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.users import LinkKey, get_link_key
from coinwatch.database import create_engine, transaction
from coinwatch.mail.charts import Charts
from coinwatch.mail.delivery import deliver_emails
from coinwatch.mail.links import read_confirmation, read_manage, read_snooze, read_unsubscribe
from coinwatch.mail.templating import TEXT_WIDTH
from coinwatch.pipeline import store_alerts
from coinwatch.settings import Settings
from tests.support.ports import free_port
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe

LINK = re.compile(r"https://coinwatch\.test/(\w+)/([\w.-]+)")
READERS: dict[str, Callable[[Settings, str], Any]] = {
    "confirm": read_confirmation,
    "unsubscribe": read_unsubscribe,
    "manage": read_manage,
    "snooze": read_snooze,
}
ALERT = {
    "alert_id": 1,
    "subscription_id": 7,
    "observed_at": "2026-03-01T12:00:00+00:00",
    "reference_at": "2026-03-01T11:50:00+00:00",
    "price": 105.5,
    "reference": 100.0,
    "change_percent": 5.5,
    "threshold": 5.0,
    "direction": "either",
    "kind": "change_over_window",
    "metric": "price",
    "window_seconds": 600,
    "late": False,
    "exchange": "kraken",
    "exchange_name": "Kraken",
    "base": "BTC",
    "quote": "USD",
    "coin_name": "Bitcoin",
}
RECIPIENT = {"timezone": "Asia/Tehran", "held": None, "limit_reached": None}


@pytest.fixture
def settings(mailbox: Mailbox) -> Settings:
    return make_settings(smtp_url=mailbox.url)


@pytest.fixture
def send(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> Callable[..., EmailMessage]:
    """Queue one email, deliver it, and parse it as a mail client does."""
    load(catalog, *(quote(100 + minute % 7, minute) for minute in range(-2400, 0, 20)), quote(105.5, 0))
    with transaction(catalog) as connection:
        user = connection.execute(
            sa.text(
                "INSERT INTO users (email, verified_at, created_at) VALUES ('ada@example.org', :now, :now) RETURNING id"
            ),
            {"now": at(0)},
        ).scalar_one()
    instrument = known(catalog)

    def send(kind: str, payload: dict[str, Any]) -> EmailMessage:
        payload = {**payload, "alerts": [{**alert, "instrument_id": instrument} for alert in payload.get("alerts", [])]}
        with transaction(catalog) as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at) "
                    "VALUES (:key, :user, 'ada@example.org', :kind, CAST(:payload AS jsonb), :now, :now)"
                ),
                {
                    "key": str(len(mailbox.raw)),
                    "user": user,
                    "kind": kind,
                    "payload": json.dumps(payload),
                    "now": at(1),
                },
            )
        assert deliver_emails(catalog, settings, clock=lambda: at(1)).sent == 1
        check_wire(mailbox.raw[-1])
        message = mailbox.messages[-1]
        check_message(message, settings, get_link_key(catalog, user))
        return message

    return send


def check_wire(raw: bytes) -> None:
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.splitlines())) <= 998


def check_message(message: EmailMessage, settings: Settings, link_key: LinkKey) -> None:
    """Check what all kinds have in common: MIME parts, one chart shown in the HTML, signed links, and short lines."""
    assert all(not part.defects for part in message.walk())
    for header in (
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
    ):
        assert len(message.get_all(header, [])) == 1
    kinds = [part.get_content_type() for part in message.walk()]
    text, html = content(message, "plain"), content(message, "html")
    named = re.findall(r"cid:([^\"]+)", html)
    if named:
        assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
        [*_, chart] = message.walk()
        assert [f"<{name}>" for name in named] == [chart["Content-ID"]]
        assert chart.get_content_disposition() == "inline"
        with Image.open(BytesIO(chart.get_content())) as image:
            image.verify()
        assert 'alt="BTC/USD on Kraken over the last 24 hours: lowest 100.00, highest 10' in html
    else:
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert all(len(line) <= TEXT_WIDTH for line in text.splitlines() if "https://" not in line)
    for part in (text, html):
        links = LINK.findall(part)
        found = {purpose: READERS[purpose](settings, token) for purpose, token in links}
        assert found["manage"] == link_key, "every email links to the manage page"
        assert "None" not in part
    if message["List-Unsubscribe"]:
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert LINK.fullmatch(message["List-Unsubscribe"].strip("<>"))


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def unsubscribes(message: EmailMessage, settings: Settings) -> list[int]:
    """The subscriptions that one-click unsubscribing ends."""
    return list(read_unsubscribe(settings, message["List-Unsubscribe"].strip("<>").rpartition("/")[2]).subscription_ids)


def words(message: EmailMessage, kind: str) -> str:
    """The content without line breaks."""
    return " ".join(content(message, kind).split())


def test_alert_shows_values_times_and_condition(send: Callable[..., EmailMessage], settings: Settings) -> None:
    message = send("alerts", {**RECIPIENT, "alerts": [ALERT]})
    assert message["Subject"] == "BTC up 5.5% in 10 minutes to 105.50 USD on Kraken"
    assert unsubscribes(message, settings) == [7]
    for kind in ("plain", "html"):
        for needed in (
            "Bitcoin (BTC/USD) on Kraken",
            "105.50 USD",
            "2026-03-01 15:30:00 +0330",
            "10 minutes earlier",
            "100.00 USD",
            "2026-03-01 15:20:00 +0330",
            "+5.50%",
            "100.00 to 106.00 USD",
            "Asia/Tehran",
            "You set an alert for when the price moves by 5% or more within 10 minutes.",
        ):
            assert needed in words(message, kind)
    alt = "BTC/USD on Kraken over the last 24 hours: lowest 100.00, highest 106.00, now 105.50 USD"
    assert f'alt="{alt}"' in content(message, "html")


def test_alerts_in_one_email_are_sorted_by_change(send: Callable[..., EmailMessage], settings: Settings) -> None:
    eth = {**ALERT, "subscription_id": 8, "base": "ETH", "coin_name": "Ethereum", "change_percent": -2.0}
    late = {**eth, "subscription_id": 9, "late": True, "change_percent": 90.0}
    message = send("alerts", {**RECIPIENT, "held": "quiet_hours", "limit_reached": 50, "alerts": [eth, late, ALERT]})
    assert message["Subject"] == "BTC up 5.5% in 10 minutes to 105.50 USD on Kraken, and 1 more alert"
    assert unsubscribes(message, settings) == [7, 8, 9]
    for kind in ("plain", "html"):
        part = words(message, kind)
        expected = ["quiet hours", "Bitcoin (BTC/USD)", "Ethereum (ETH/USD)", "when coinwatch was down", "limit of 50"]
        positions = [part.index(text) for text in expected]
        assert positions == sorted(positions)


def test_only_the_thirty_largest_alerts_are_shown(send: Callable[..., EmailMessage], settings: Settings) -> None:
    alerts = [{**ALERT, "subscription_id": 10_000_000 + 7 * n, "change_percent": 5 + n / 10} for n in range(200)]
    message = send("alerts", {**RECIPIENT, "held": "daily_limit", "alerts": alerts})
    assert "up 24.9%" in message["Subject"]
    assert message["Subject"].endswith("and 199 more alerts")
    for kind in ("plain", "html"):
        part = words(message, kind)
        assert part.count("Bitcoin (BTC/USD)") == 30
        assert "Held back by your daily limit" in part
        assert "And 170 more." in part
    assert len(content(message, "html")) < 100_000, "Gmail clips longer ones"
    ended = unsubscribes(message, settings)
    assert {alert["subscription_id"] for alert in alerts[-30:]} <= set(ended), "at least one per shown alert"


def test_digest_is_grouped_by_coin(send: Callable[..., EmailMessage], settings: Settings) -> None:
    eth = {**ALERT, "subscription_id": 8, "base": "ETH", "coin_name": "Ethereum", "change_percent": -2.0}
    fall = {**ALERT, "change_percent": -3.0, "observed_at": "2026-03-01T02:00:00+00:00"}
    message = send("digest", {**RECIPIENT, "held": "digest", "period": "daily", "alerts": [eth, ALERT, fall]})
    assert message["Subject"] == "Your daily digest: BTC up 5.5% in 10 minutes, and 2 more alerts"
    assert unsubscribes(message, settings) == [7, 8]
    text = words(message, "plain")
    expected = ["2026-03-01 05:30 +0330 BTC down 3%", "2026-03-01 15:30 +0330 BTC up 5.5%", "Ethereum", "ETH down 2%"]
    positions = [text.index(line) for line in expected]
    assert positions == sorted(positions)
    html = content(message, "html")
    assert html.count("<h2>") == 2
    assert "cid:chart" in html
    weekly = send("digest", {**RECIPIENT, "period": "weekly", "alerts": [fall]})
    assert weekly["Subject"] == "Your weekly digest: BTC down 3% in 10 minutes"


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"reason": "asked", "condition": None, "pair": None}, "Your link"),
        ({"reason": "already", "condition": "the price crosses 100 USD", "pair": "BTC/USD"}, "BTC/USD"),
    ],
)
def test_manage_email_has_no_list_headers(
    payload: dict[str, Any], named: str, send: Callable[..., EmailMessage]
) -> None:
    message = send("manage", payload)
    assert named in message["Subject"]
    assert message["List-Unsubscribe"] is message["List-Unsubscribe-Post"] is None


def test_confirmation_has_its_link_and_no_list_headers(send: Callable[..., EmailMessage], settings: Settings) -> None:
    payload = {"subscription_id": 5, "pair": "BTC/USD", "exchange": "index", "condition": "the price crosses 100 USD"}
    message = send("confirmation", payload)
    assert "BTC/USD" in message["Subject"]
    assert message["List-Unsubscribe"] is message["List-Unsubscribe-Post"] is None
    for kind in ("plain", "html"):
        part = content(message, kind)
        assert {
            read_confirmation(settings, token)[1].subscription_ids for p, token in LINK.findall(part) if p == "confirm"
        } == {(5,)}
        assert "on all exchanges (median)" in words(message, kind)


def test_one_confirmation_lists_all_alerts_that_were_requested_together(send: Callable[..., EmailMessage]) -> None:
    described = {"pair": "ETH/USD", "exchange": "kraken", "exchange_name": "Kraken", "simulated": False}
    others = [{**described, "condition": f"the price rises to {number} USD"} for number in range(40)]
    payload = {"subscription_id": 5, "pair": "BTC/USD", "exchange": "index", "condition": "the price crosses 100 USD"}
    message = send("confirmation", {**payload, "others": others})
    assert message["Subject"] == "Confirm your 41 price alerts"
    for kind in ("plain", "html"):
        text = words(message, kind)
        assert "asked for 41 alerts" in text
        assert "the price crosses 100 USD" in text
        assert "the price rises to 29 USD: " in text
        assert "ETH/USD" in text
        assert "and 10 more" in text


def test_expired_alert_can_be_unsubscribed(send: Callable[..., EmailMessage], settings: Settings) -> None:
    message = send("expired", ALERT)
    assert "BTC/USD" in message["Subject"]
    assert unsubscribes(message, settings) == [7]


def test_every_kind_of_rule_produces_an_email(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    """From the loaded quote to the email, in one cycle."""
    rules = [
        Rule(threshold=5),
        Rule("change_over_window", 5, "up", window_seconds=600),
        Rule("deviation_from_average", 2, window_seconds=300),
        Rule("crosses", 104, "up"),
    ]
    for rule in rules:
        subscribe(
            catalog, email="ada@example.org", coin="BTC", exchange="kraken", rule=rule, now=at(-20), confirmed=True
        )
    load(catalog, *(quote(100.0, minute) for minute in range(-15, 0)), quote(105.5, 0))
    store_alerts(catalog, at(0))
    assert deliver_emails(catalog, settings, clock=lambda: at(0)).sent == 1
    [message] = mailbox.messages
    check_wire(mailbox.raw[0])
    assert message["Subject"].startswith("BTC ")
    assert message["Subject"].endswith("105.50 USD on Kraken, and 3 more alerts")
    text = words(message, "plain")
    for needed in (
        "Kraken: up 5.5% ",
        "up 5.5% in 10 minutes",
        "5.5% above its 5-minute average",
        "rose above 104.00",
        "10 minutes earlier 100.00 USD",
        "5-minute average 100.00 USD",
        "Previous price 100.00 USD",
        "Level 104.00 USD",
    ):
        assert needed in text


@pytest.mark.parametrize(
    ("preferences", "later", "reason"),
    [
        ("quiet_from = '11:00', quiet_until = '13:00'", at(60), "Alerts from your quiet hours"),
        ("digest = 'daily', digest_sent_at = '2026-03-01T11:00Z'", at(20 * 60), "Your daily digest: 1 alert"),
    ],
)
def test_held_alerts_show_why_they_were_held(
    preferences: str, later: datetime, reason: str, catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    rule = Rule(threshold=5)
    subscribe(catalog, email="ada@example.org", coin="BTC", exchange="kraken", rule=rule, now=at(-20), confirmed=True)
    with transaction(catalog) as connection:
        connection.execute(sa.text(f"UPDATE users SET {preferences}"))
    load(catalog, quote(100.0, -1), quote(105.5, 0))
    for moment, sent in ((at(0), 0), (later, 1)):
        store_alerts(catalog, moment)
        assert deliver_emails(catalog, settings, clock=lambda moment=moment: moment).sent == sent
    check_wire(mailbox.raw[0])
    for kind in ("plain", "html"):
        assert reason in words(mailbox.messages[0], kind)
        assert "105.50 USD" in content(mailbox.messages[0], kind)


def test_chart_is_drawn_once_for_all_recipients(catalog: sa.Engine) -> None:
    load(catalog, quote(100.0, -10), quote(105.5, 0, volume_24h=5.0), quote(90.0, 5))
    charts, checkouts = Charts(catalog), []
    sa.event.listen(catalog, "checkout", lambda *_: checkouts.append(1))
    first = charts.get(known(catalog), at(0))
    assert first is not None
    assert (first.lowest, first.highest, first.last) == (100.0, 105.5, 105.5), "later values are excluded"
    before = len(checkouts)
    assert charts.get(known(catalog), at(0)) is first
    assert len(checkouts) == before + 1, "only known() queried the database"


def test_missing_chart_is_logged_with_its_reason(catalog: sa.Engine) -> None:
    load(catalog, quote(100.0, -60 * 25), quote(105.5, 0))
    with structlog.testing.capture_logs() as lines:
        charts = Charts(catalog)
        assert charts.get(known(catalog), at(0)) is None
        assert charts.get(known(catalog), at(0), "volume_24h") is None
        unavailable = Charts(create_engine(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))
        assert [unavailable.get(1, at(0)) for _ in range(3)] == [None] * 3
    assert len(lines) == 3
    assert "fewer than two values" in lines[0]["error"]
    assert "DatabaseError" in lines[2]["error"]


def test_slow_charts_are_omitted(catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    load(catalog, quote(100.0, -10), quote(105.5, 0), quote(90.0, 5))
    monkeypatch.setattr("coinwatch.mail.charts.MAX_SECONDS", 0.0)
    charts = Charts(catalog)
    with structlog.testing.capture_logs() as lines:
        first = charts.get(known(catalog), at(0))
        assert first is not None
        assert charts.get(known(catalog), at(5)) is None
        assert charts.get(known(catalog), at(0)) is first, "the chart is cached"
    assert len(lines) == 1


def known(engine: sa.Engine) -> int:
    """BTC/USD on Kraken."""
    query = (
        "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = exchange_id WHERE code = 'kraken' AND base = 'BTC'"
    )
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query)).scalar_one())
