"""Every kind of mail through a real SMTP server: valid, readable, with a picture and with links that lead somewhere."""

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
from coinwatch.database import create_engine, transaction
from coinwatch.mail.charts import Charts
from coinwatch.mail.delivery import deliver_emails
from coinwatch.mail.formatting import TEXT_WIDTH
from coinwatch.mail.links import read_confirmation, read_manage, read_unsubscribe
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
TELLING = {"timezone": "Asia/Tehran", "held": None, "limit_reached": None}


@pytest.fixture
def settings(mailbox: Mailbox) -> Settings:
    return make_settings(smtp_url=mailbox.url)


@pytest.fixture
def send(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> Callable[..., EmailMessage]:
    """Queue one mail, deliver it, and read it as a mail program does."""
    load(catalog, *(quote(100 + minute % 7, minute) for minute in range(-1400, 0, 20)), quote(105.5, 0))
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
        check_message(message, settings, user)
        return message

    return send


def check_wire(raw: bytes) -> None:
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.splitlines())) <= 998


def check_message(message: EmailMessage, settings: Settings, user: int) -> None:
    """What holds for every kind: the parts, one picture that the HTML names, links we signed, lines that fit."""
    assert all(not part.defects for part in message.walk())
    for header in ("Subject", "From", "To", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"):
        assert len(message.get_all(header, [])) == 1
    kinds = [part.get_content_type() for part in message.walk()]
    text, html = content(message, "plain"), content(message, "html")
    named = re.findall(r"cid:([^\"]+)", html)
    if named:
        assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
        [*_, picture] = message.walk()
        assert [f"<{name}>" for name in named] == [picture["Content-ID"]]
        assert picture.get_content_disposition() == "inline"
        with Image.open(BytesIO(picture.get_content())) as image:
            image.verify()
        assert 'alt="BTC/USD on Kraken over the last 24 hours: lowest 100.00, highest 10' in html
    else:
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert all(len(line) <= TEXT_WIDTH for line in text.splitlines() if "https://" not in line)
    for part in (text, html):
        links = LINK.findall(part)
        found = {purpose: READERS[purpose](settings, token) for purpose, token in links}
        assert found["manage"] == user, "every mail leads to the manage page"
        assert "None" not in part
    if message["List-Unsubscribe"]:
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert LINK.fullmatch(message["List-Unsubscribe"].strip("<>"))


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def unsubscribes(message: EmailMessage, settings: Settings) -> list[int]:
    """What one click ends."""
    return read_unsubscribe(settings, message["List-Unsubscribe"].strip("<>").rpartition("/")[2])


def test_an_alert_says_everything_in_the_readers_time(send: Callable[..., EmailMessage], settings: Settings) -> None:
    message = send("alerts", {**TELLING, "alerts": [ALERT]})
    assert message["Subject"] == "BTC +5.50% in 10 minutes: 105.50 USD on Kraken"
    assert unsubscribes(message, settings) == [7]
    for kind in ("plain", "html"):
        for needed in (
            "Bitcoin (BTC/USD) on Kraken",
            "105.50 USD",
            "2026-03-01 15:30:00 +0330",
            "10 minutes before",
            "100.00 USD",
            "2026-03-01 15:20:00 +0330",
            "+5.50%",
            "100.00 to 106.00 USD",
            "Times are in Asia/Tehran.",
        ):
            assert needed in content(message, kind)
        assert "the price moves by 5% or more within 10 minutes" in " ".join(content(message, kind).split())
    alt = "BTC/USD on Kraken over the last 24 hours: lowest 100.00, highest 106.00, now 105.50 USD"
    assert f'alt="{alt}"' in content(message, "html")


def test_several_alerts_come_in_one_mail_with_the_largest_first(
    send: Callable[..., EmailMessage], settings: Settings
) -> None:
    eth = {**ALERT, "subscription_id": 8, "base": "ETH", "coin_name": "Ethereum", "change_percent": -2.0}
    late = {**eth, "subscription_id": 9, "late": True, "change_percent": 90.0}
    message = send("alerts", {**TELLING, "held": "quiet_hours", "limit_reached": 50, "alerts": [eth, late, ALERT]})
    assert message["Subject"] == "BTC +5.50% in 10 minutes: 105.50 USD on Kraken, and 1 more alert"
    assert unsubscribes(message, settings) == [7, 8, 9]
    for kind in ("plain", "html"):
        part = " ".join(content(message, kind).split())
        assert part.index("While your quiet hours lasted:") < part.index("Bitcoin (BTC/USD)")
        assert part.index("Bitcoin (BTC/USD)") < part.index("Ethereum (ETH/USD)") < part.index("you missed")
        assert "This is the last mail for now: 50 a day is the limit." in part


def test_of_two_hundred_alerts_the_thirty_largest_are_shown(
    send: Callable[..., EmailMessage], settings: Settings
) -> None:
    alerts = [{**ALERT, "subscription_id": 10_000_000 + 7 * n, "change_percent": 5 + n / 10} for n in range(200)]
    message = send("alerts", {**TELLING, "held": "daily_limit", "alerts": alerts})
    assert message["Subject"] == "BTC +24.90% in 10 minutes: 105.50 USD on Kraken, and 199 more alerts"
    text, html = content(message, "plain"), content(message, "html")
    for part in (text, html):
        assert part.count("Bitcoin (BTC/USD)") == 30
        assert "Gathered since you had as many mails as a day allows:" in part
    assert "And 170 more, see them all:\nhttps://coinwatch.test/manage/" in text.replace("\r\n", "\n")
    assert len(html) < 100_000, "Gmail cuts longer ones off"
    ended = unsubscribes(message, settings)
    assert {alert["subscription_id"] for alert in alerts[-30:]} <= set(ended), "at least what is shown"


def test_a_digest_is_grouped_by_coin(send: Callable[..., EmailMessage], settings: Settings) -> None:
    eth = {**ALERT, "subscription_id": 8, "base": "ETH", "coin_name": "Ethereum", "change_percent": -2.0}
    fall = {**ALERT, "change_percent": -3.0, "observed_at": "2026-03-01T02:00:00+00:00"}
    message = send("digest", {**TELLING, "held": "digest", "period": "daily", "alerts": [eth, ALERT, fall]})
    assert message["Subject"] == "Your day: BTC +5.50% in 10 minutes, and 2 more alerts"
    assert unsubscribes(message, settings) == [7, 8]
    text = content(message, "plain")
    assert (
        text.index("Sun 01 Mar, 05:30 +0330  -3.00%")
        < text.index("Sun 01 Mar, 15:30 +0330  +5.50%")
        < text.index("Ethereum")
    )
    html = content(message, "html")
    assert html.count("<h2>") == 2
    assert "cid:chart." in html
    weekly = send("digest", {**TELLING, "period": "weekly", "alerts": [fall]})
    assert weekly["Subject"] == "Your week: BTC -3.00% in 10 minutes"


@pytest.mark.parametrize(
    ("payload", "subject"),
    [
        ({"reason": "asked", "condition": None, "pair": None}, "Your link to your price alerts"),
        (
            {"reason": "already", "condition": "the price crosses 100 USD", "pair": "BTC/USD"},
            "You have this alert already: BTC/USD",
        ),
    ],
)
def test_a_manage_mail_is_no_list(payload: dict[str, Any], subject: str, send: Callable[..., EmailMessage]) -> None:
    message = send("manage", payload)
    assert message["Subject"] == subject
    assert message["List-Unsubscribe"] is message["List-Unsubscribe-Post"] is None


def test_a_confirmation_asks_and_is_no_list(send: Callable[..., EmailMessage], settings: Settings) -> None:
    payload = {"subscription_id": 5, "pair": "BTC/USD", "exchange": "index", "condition": "the price crosses 100 USD"}
    message = send("confirmation", payload)
    assert message["Subject"] == "Confirm your price alert for BTC/USD"
    assert message["List-Unsubscribe"] is message["List-Unsubscribe-Post"] is None
    for kind in ("plain", "html"):
        part = content(message, kind)
        assert {READERS[p](settings, token) for p, token in LINK.findall(part) if p == "confirm"} == {5}
        assert "on all exchanges (median)" in " ".join(part.split())


def test_the_end_of_a_rule_is_told(send: Callable[..., EmailMessage], settings: Settings) -> None:
    message = send("expired", ALERT)
    assert message["Subject"] == "Your alert for BTC/USD has ended"
    assert unsubscribes(message, settings) == [7]


def test_what_the_matcher_queues_is_what_the_templates_show(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    """Every kind of rule, from the loaded quote to the mail, in one cycle."""
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
    text = content(message, "plain")
    for needed in ("+5.50% in 10 minutes", "+5.50% against its 5-minute average", "rose past 104.00", "Kraken: +5.50%"):
        assert needed in text
    for compared in ("10 minutes before   100.00 USD", "5-minute average    100.00 USD", "Value before    100 USD"):
        assert compared in text


@pytest.mark.parametrize(
    ("wishes", "later", "said"),
    [
        ("quiet_from = '11:00', quiet_until = '13:00'", at(60), "While your quiet hours lasted:"),
        ("digest = 'daily', digest_sent_at = '2026-03-01T11:00Z'", at(20 * 60), "Your day in prices: 1 alert"),
    ],
)
def test_what_is_held_says_why(
    wishes: str, later: datetime, said: str, catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    rule = Rule(threshold=5)
    subscribe(catalog, email="ada@example.org", coin="BTC", exchange="kraken", rule=rule, now=at(-20), confirmed=True)
    with transaction(catalog) as connection:
        connection.execute(sa.text(f"UPDATE users SET {wishes}"))
    load(catalog, quote(100.0, -1), quote(105.5, 0))
    for moment, sent in ((at(0), 0), (later, 1)):
        store_alerts(catalog, moment)
        assert deliver_emails(catalog, settings, clock=lambda moment=moment: moment).sent == sent
    check_wire(mailbox.raw[0])
    for kind in ("plain", "html"):
        assert said in content(mailbox.messages[0], kind)
        assert "105.50 USD" in content(mailbox.messages[0], kind)


def test_a_picture_is_drawn_once_for_everybody(catalog: sa.Engine) -> None:
    load(catalog, quote(100.0, -10), quote(105.5, 0, volume_24h=5.0), quote(90.0, 5))
    charts, statements = Charts(catalog), []
    sa.event.listen(catalog, "checkout", lambda *_: statements.append(1))
    first = charts.of(known(catalog), at(0))
    assert first is not None
    assert (first.lowest, first.highest, first.last) == (100.0, 105.5, 105.5), "what came later is not in it"
    read = len(statements)
    assert charts.of(known(catalog), at(0)) is first
    assert len(statements) == read + 1, "only known() asked the database"


def test_without_values_there_is_no_picture_and_a_line_says_why(catalog: sa.Engine) -> None:
    load(catalog, quote(100.0, -60 * 25), quote(105.5, 0))
    with structlog.testing.capture_logs() as lines:
        charts = Charts(catalog)
        assert charts.of(known(catalog), at(0)) is None
        assert charts.of(known(catalog), at(0), "volume_24h") is None
        away = Charts(create_engine(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"))
        assert [away.of(1, at(0)) for _ in range(3)] == [None] * 3
    assert [line["event"] for line in lines] == ["no chart for a mail"] * 3
    assert "fewer than two values" in lines[0]["reason"]
    assert "DatabaseError" in lines[2]["reason"]


def test_pictures_that_take_too_long_are_left_out(catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    load(catalog, quote(100.0, -10), quote(105.5, 0), quote(90.0, 5))
    monkeypatch.setattr("coinwatch.mail.charts.MOST_SECONDS", 0.0)
    charts = Charts(catalog)
    with structlog.testing.capture_logs() as lines:
        first = charts.of(known(catalog), at(0))
        assert first is not None
        assert charts.of(known(catalog), at(5)) is None
        assert charts.of(known(catalog), at(0)) is first, "what is drawn costs nothing"
    assert [line["event"] for line in lines] == ["charts took long, the other mails go out without"]


def known(engine: sa.Engine) -> int:
    """BTC/USD on Kraken."""
    query = (
        "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = exchange_id WHERE code = 'kraken' AND base = 'BTC'"
    )
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query)).scalar_one())
