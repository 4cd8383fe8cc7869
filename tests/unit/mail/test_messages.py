"""Mails are safe whatever stands in their rows, and links are what we signed."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.alerts.rules import HIGHEST_PERCENT, LOWEST_PERCENT
from coinwatch.errors import ConfigurationError, InvalidRequest, PermanentEmailError
from coinwatch.mail.charts import Chart
from coinwatch.mail.formatting import news
from coinwatch.mail.links import confirmation_link, read_confirmation, read_manage, read_unsubscribe, unsubscribe_link
from coinwatch.mail.messages import Writer
from coinwatch.mail.smtp import MailServer, parse_smtp_url
from tests.support.settings import make_settings

SETTINGS = make_settings()
ALERT = {
    "alert_id": 1,
    "subscription_id": 7,
    "instrument_id": 1,
    "observed_at": "2026-03-01T12:01:00+00:00",
    "reference_at": "2026-03-01T12:00:00+00:00",
    "price": 105.0,
    "reference": 100.0,
    "change_percent": 5.0,
    "threshold": 5.0,
    "direction": "either",
    "kind": "change_since_last",
    "metric": "price",
    "window_seconds": 0,
    "late": False,
    "exchange": "kraken",
    "exchange_name": "Kraken",
    "base": "BTC",
    "quote": "USD",
    "coin_name": "Bitcoin",
}


def build(recipient: str = "ada@example.org", timezone: str = "UTC", **changes: Any) -> Any:
    return parsed("alerts", {"timezone": timezone, "alerts": [{**ALERT, **changes}]}, recipient)


def parsed(kind: str, payload: dict[str, Any], recipient: str = "ada@example.org") -> EmailMessage:
    """The mail of a row, as a mail program reads it."""
    mail = Writer(SETTINGS, lambda instrument_id, until, metric="price": None).build(
        kind=kind,
        user_id=3,
        recipient=recipient,
        payload=payload,
        message_id=UUID(int=1),
        created_at=datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
    )
    return cast("EmailMessage", message_from_bytes(mail.data, policy=cast("Any", default)))


@pytest.mark.parametrize("text", ["Kraken\r\nBcc: all@example.org", "Kraken\nX", "Kraken\x00", "\x1b[31mKraken"])
def test_a_line_break_in_a_header_value_is_refused(text: str) -> None:
    with pytest.raises(PermanentEmailError, match="line break or control character"):
        build(exchange_name=text)
    with pytest.raises(PermanentEmailError):
        build(recipient=f"ada@example.org{text}")


@given(st.text(max_size=80))
def test_no_text_of_an_exchange_adds_a_header_or_a_tag(text: str) -> None:
    try:
        message = build(exchange_name=text, coin_name=text)
    except PermanentEmailError:
        return
    names = [name for name, _ in message.items()]
    assert sorted(set(names)) == sorted(names)
    assert "Bcc" not in names
    html = message.get_body(("html",)).get_content()
    assert html.count("<script") == 0
    assert html.count("<div") == build().get_body(("html",)).get_content().count("<div")


def test_the_same_row_gives_the_same_mail() -> None:
    first, second = build(), build()
    for part in ("Subject", "Message-ID", "Date", "To"):
        assert first[part] == second[part]


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Tehran", "15:31:00 +0330"), ("Mars/Base", "12:01:00 UTC")])
def test_times_are_in_the_readers_zone(zone: str, shown: str) -> None:
    assert shown in build(timezone=zone).get_body(("plain",)).get_content()


def test_links_are_only_good_for_what_they_were_made_for() -> None:
    token = confirmation_link(SETTINGS, 7).rpartition("/")[2]
    assert read_confirmation(SETTINGS, token) == 7
    with pytest.raises(InvalidRequest, match="not complete"):
        read_unsubscribe(SETTINGS, token)
    with pytest.raises(InvalidRequest):
        read_confirmation(SETTINGS, token[:-1])
    with pytest.raises(InvalidRequest):
        read_confirmation(make_settings(secret_key="another"), token)
    assert read_unsubscribe(SETTINGS, unsubscribe_link(SETTINGS, [3, 4]).rpartition("/")[2]) == [3, 4]


def test_links_need_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY"):
        confirmation_link(make_settings(secret_key=None), 1)
    with pytest.raises(ConfigurationError, match="example"):
        confirmation_link(make_settings(secret_key="change-me"), 1)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org:587", MailServer("mail.example.org", 587, "starttls")),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, "implicit")),
        ("smtp://127.0.0.1:1025?tls=none", MailServer("127.0.0.1", 1025, "none")),
        ("smtp://me%40here:p%2Fw@m:25", MailServer("m", 25, "starttls", "me@here", "p/w")),
    ],
)
def test_smtp_urls(url: str, server: MailServer) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url", ["", "mail.example.org", "http://mail", "smtp://", "smtp://m:x", "smtp://a:b@m?tls=none"]
)
def test_wrong_smtp_urls_are_named_without_their_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"kind": "change_over_window", "window_seconds": 600}, "BTC +5.00% in 10 minutes: 105.00 USD on Kraken"),
        (
            {"kind": "deviation_from_average", "window_seconds": 300},
            "BTC +5.00% against its 5-minute average: 105.00 USD on Kraken",
        ),
        (
            {"kind": "change_over_window", "window_seconds": 600, "price": 68923.4, "change_percent": 5.2},
            "BTC +5.20% in 10 minutes: 68,923.40 USD on Kraken",
        ),
        ({"kind": "crosses", "threshold": 104.0}, "BTC rose past 104.00: 105.00 USD on Kraken"),
        ({"kind": "crosses", "threshold": 105.0}, "BTC rose to 105.00: 105.00 USD on Kraken"),
        (
            {"kind": "crosses", "threshold": 1.23e-6, "price": 1.2e-6, "change_percent": -3.0},
            "BTC fell past 0.00000123: 0.0000012 USD on Kraken",
        ),
        (
            {"kind": "crosses", "threshold": 1e12, "price": 1.1e12},
            "BTC rose past 1,000,000,000,000.00: 1,100,000,000,000.00 USD on Kraken",
        ),
        ({"threshold": 1.24, "change_percent": 1.2402}, "BTC +1.24%: 105.00 USD on Kraken"),
        ({"exchange": "index"}, "BTC +5.00%: 105.00 USD on all exchanges (median)"),
        ({"metric": "volume_24h", "change_percent": -60.0}, "BTC 24 h volume -60.00%: 105.00 BTC on Kraken"),
    ],
)
def test_the_subject_says_the_news(changes: dict[str, Any], subject: str) -> None:
    assert build(**changes)["Subject"] == subject


@given(st.decimals(str(LOWEST_PERCENT), str(HIGHEST_PERCENT), places=3), st.floats(1, 3), st.sampled_from([1, -1]))
def test_no_mail_tells_of_less_than_was_asked_for(threshold: Decimal, times: float, sign: int) -> None:
    told = {**ALERT, "threshold": float(threshold), "change_percent": sign * float(threshold) * times}
    assert abs(Decimal(news(told).removesuffix("%").replace(",", ""))) >= threshold


def test_a_change_too_small_for_two_decimals_is_not_said_to_be_none() -> None:
    text = build(kind="crosses", threshold=105.0, change_percent=-0.00042).get_body(("plain",)).get_content()
    assert re.search(r"Change +-0\.0004%", text)


@pytest.mark.parametrize(
    ("kind", "seconds", "line"),
    [
        ("deviation_from_average", 900, "15-minute average   100.00 USD"),
        ("change_over_window", 30 * 86400, "30 days before      100.00 USD"),
    ],
)
def test_names_and_values_stand_apart(kind: str, seconds: int, line: str) -> None:
    assert line in build(kind=kind, window_seconds=seconds).get_body(("plain",)).get_content()


def test_what_was_missed_stands_below_the_news() -> None:
    message = parsed("alerts", {"timezone": "UTC", "alerts": [{**ALERT, "late": True, "change_percent": 50.0}, ALERT]})
    assert message["Subject"] == "BTC +5.00%: 105.00 USD on Kraken"
    for part in message.iter_parts():
        assert "stood still you missed" in part.get_content()


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """New York sets its clocks back from 02:00 to 01:00."""
    twice = [{**ALERT, "observed_at": f"2026-11-01T0{hour}:30:00+00:00", "late": True} for hour in (5, 6)]
    message = parsed("alerts", {"timezone": "America/New_York", "alerts": twice})
    assert message["Subject"] == "Missed: BTC +5.00%, and 1 more alert"
    for part in message.iter_parts():
        assert "Sun 01 Nov, 01:30 EDT" in part.get_content()
        assert "Sun 01 Nov, 01:30 EST" in part.get_content()


def test_the_end_of_a_rule_is_told_in_words() -> None:
    message = parsed("expired", {name: ALERT[name] for name in ALERT})
    assert message["Subject"] == "Your alert for BTC/USD has ended"
    text = message.get_body(("plain",))
    assert text is not None
    words = " ".join(text.get_content().split())
    assert "the price moves by 5% or more between two updates" in words


PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["alerts", "digest"]),
        st.lists(st.tuples(st.integers(1, 9), st.sampled_from([2.0, 5.0]), st.booleans()), min_size=1, max_size=4),
    ),
    max_size=6,
)


@given(PEOPLE)
def test_what_is_written_once_for_many_is_what_each_would_get_alone(
    people: list[tuple[str, list[tuple[int, float, bool]]]],
) -> None:
    writer = Writer(SETTINGS, picture)
    with patch("itsdangerous.timed.time.time", lambda: 1_790_000_000.0):
        for number, (kind, told) in enumerate(people):
            alerts = [
                {**ALERT, "alert_id": 10 * number + place, "subscription_id": subscription, "threshold": threshold}
                | {"late": late and place > 0 and kind == "alerts"}
                for place, (subscription, threshold, late) in enumerate(told)
            ]
            row: dict[str, Any] = {
                "kind": kind,
                "user_id": number,
                "recipient": f"person{number}@example.org",
                "payload": {"timezone": "UTC", "alerts": alerts, "period": "daily"},
                "message_id": UUID(int=number),
                "created_at": datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
            }
            assert writer.build(**row) == Writer(SETTINGS, picture).build(**row)


def picture(instrument_id: int, until: datetime, metric: str = "price") -> Chart:
    return Chart(b"picture", 1.0, 3.0, 2.0)


def test_the_links_of_one_person_are_in_no_mail_of_another() -> None:
    writer = Writer(SETTINGS, picture)
    for user_id, subscription_id in ((1, 41), (2, 42), (3, 43)):
        mail = writer.build(
            kind="alerts",
            user_id=user_id,
            recipient="ada@example.org",
            payload={"timezone": "UTC", "alerts": [{**ALERT, "subscription_id": subscription_id}]},
            message_id=UUID(int=user_id),
            created_at=datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
        )
        message = cast("EmailMessage", message_from_bytes(mail.data, policy=cast("Any", default)))
        html = cast("EmailMessage", message.get_body(("html",))).get_content()
        text = cast("EmailMessage", message.get_body(("plain",))).get_content()
        for part in (html, text, str(message["List-Unsubscribe"])):
            assert {read_unsubscribe(SETTINGS, token)[0] for token in tokens("unsubscribe", part)} == {subscription_id}
        assert {read_manage(SETTINGS, token) for token in tokens("manage", html + text)} == {user_id}
        assert f"cid:chart.{UUID(int=user_id)}@coinwatch.test" in html


def tokens(page: str, text: str) -> list[str]:
    return re.findall(rf"/{page}/([\w.-]+)", text)
