"""Emails are safe whatever their rows contain, and a shared draft never mixes up recipients."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coinwatch.alerts.rules import HIGHEST_PERCENT, LOWEST_PERCENT
from coinwatch.alerts.users import LinkKey
from coinwatch.errors import ConfigurationError, PermanentEmailError
from coinwatch.mail.charts import Chart
from coinwatch.mail.compose import MAX_LINE, Composer, Email
from coinwatch.mail.links import read_manage, read_unsubscribe
from coinwatch.notifications.alert_text import change_text
from coinwatch.notifications.claims import ClaimedEmail
from tests.support.email_payloads import ALERT
from tests.support.settings import make_settings

SETTINGS = make_settings()
OBSERVED_AT = datetime.fromisoformat(ALERT["observed_at"])
FIRST_AT = OBSERVED_AT - timedelta(days=1)


def row(payload: dict[str, Any], *, kind: str = "alerts", number: int = 1, recipient: str = "") -> ClaimedEmail:
    return ClaimedEmail(
        id=number,
        user_id=number,
        recipient=recipient or f"person{number}@example.org",
        kind=kind,
        payload=payload,
        message_id=UUID(int=number),
        attempts=1,
        created_at=datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
        link_key=UUID(int=number),
        link_version=0,
    )


def no_chart(instrument_id: int, until: datetime, metric: str = "price") -> None:
    return None


def fixed_chart(instrument_id: int, until: datetime, metric: str = "price") -> Chart:
    return Chart(b"image", 1.0, 3.0, 2.0, FIRST_AT)


def parse(email: Email) -> EmailMessage:
    return cast("EmailMessage", message_from_bytes(email.data, policy=cast("Any", default)))


def compose(payload: dict[str, Any], kind: str = "alerts", recipient: str = "") -> EmailMessage:
    """The composed email of a row, parsed as a mail client does."""
    return parse(Composer(SETTINGS, no_chart).compose(row(payload, kind=kind, recipient=recipient)))


def compose_alert(timezone: str = "UTC", **changes: Any) -> EmailMessage:
    return compose({"timezone": timezone, "alerts": [{**ALERT, **changes}]})


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("text", ["Kraken\r\nBcc: all@example.org", "Kraken\nX", "Kraken\x00", "\x1b[31mKraken"])
def test_line_breaks_in_headers_are_rejected(text: str) -> None:
    with pytest.raises(PermanentEmailError, match="line break or control character"):
        compose_alert(exchange_name=text)
    with pytest.raises(PermanentEmailError, match="not an email address"):
        compose({"alerts": [ALERT]}, recipient=f"ada@example.org{text}")


@pytest.mark.parametrize(
    "address", ["ada@example.org>\r\nRCPT TO:<eve@example.org", "ada", "ä@example.org", "a b@c", ""]
)
def test_overlong_address_is_rejected(address: str) -> None:
    with pytest.raises(PermanentEmailError):
        Email("alerts@example.org", address, b"")


@pytest.mark.parametrize("email_from", ["coinwatch", "coinwatch <alerts>", ""])
def test_sender_without_an_address_is_a_configuration_error(email_from: str) -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_EMAIL_FROM"):
        Composer(make_settings(email_from=email_from), no_chart)


@given(st.text(max_size=80))
def test_names_from_an_exchange_cannot_inject_headers_or_html(text: str) -> None:
    try:
        message = compose_alert(exchange_name=text, coin_name=text)
    except PermanentEmailError:
        return
    names = [name for name, _ in message.items()]
    assert sorted(set(names)) == sorted(names)
    assert "Bcc" not in names
    html = content(message, "html")
    assert html.count("<script") == 0
    assert html.count("<div") == content(compose_alert(), "html").count("<div")


@pytest.mark.parametrize(
    ("minutes", "period"), [(2, "2 min"), (7 * 60, "7 h"), (23 * 60, "23 h"), (1430, "24 hours"), (1440, "24 hours")]
)
def test_chart_of_less_than_a_day_says_how_long_it_is(minutes: int, period: str) -> None:
    chart = Chart(b"image", 1.0, 3.0, 2.0, OBSERVED_AT - timedelta(minutes=minutes))
    message = parse(Composer(SETTINGS, lambda *_: chart).compose(row({"alerts": [ALERT]})))
    for kind in ("plain", "html"):
        assert f"Last {period}" in content(message, kind)
    assert f"over the last {period}: lowest 1.00, highest 3.00" in content(message, "html")


@given(st.text(max_size=300), st.none() | st.binary(max_size=500))
@example("prices\u2003" * 300, None)
@example("قیمت " * 50, b"\x89PNG")
@example("x" * 2000, b"")
@example("Ada =3D\n.\n..\n--=_b0\n", None)
def test_names_and_charts_survive_seven_bit_encoding(name: str, png: bytes | None) -> None:
    composer = Composer(SETTINGS, lambda *_: Chart(png, 1.0, 3.0, 2.0, FIRST_AT) if png is not None else None)
    email = composer.compose(row({"alerts": [{**ALERT, "coin_name": name}]}))
    assert email.data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", email.data), "only CRLF ends a line"
    assert max(map(len, email.data.split(b"\r\n"))) <= MAX_LINE
    message = parse(email)
    assert [defect for part in message.walk() for defect in part.defects] == []
    assert content(message, "html").count("https://coinwatch.test/manage/") == 1
    for word in re.findall(r"[\w.=-]+", name):
        if len(word) <= 70:  # longer ones are wrapped
            assert word in content(message, "plain")
    kinds = [part.get_content_type() for part in message.walk()]
    if png is None:
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    else:
        assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
        image = list(message.walk())[-1]
        assert image.get_content() == png
        assert f'src="cid:{image["Content-ID"].strip("<>")}"' in content(message, "html")


@pytest.mark.parametrize("name", ["Krakén", "交易所", "Exchange " * 30, 'A "quoted" name, with \\'])
def test_subject_survives_encoding_and_folding(name: str) -> None:
    assert compose_alert(exchange_name=name.strip())["Subject"].endswith(f"on {name.strip()}")


def test_long_unsubscribe_link_is_never_broken() -> None:
    alerts = [{**ALERT, "subscription_id": 10_000_000 + 7 * n} for n in range(200)]
    email = Composer(SETTINGS, no_chart).compose(row({"alerts": alerts}))
    [line] = [line for line in email.data.split(b"\r\n") if line.startswith(b"List-Unsubscribe:")]
    assert len(line) > 500
    assert read_unsubscribe(SETTINGS, line.decode().rpartition("/")[2].strip(">")).subscription_ids


def test_composing_is_deterministic() -> None:
    first, second = compose_alert(), compose_alert()
    for part in ("Subject", "Message-ID", "Date", "To", "From", "X-Coinwatch-Message"):
        assert first[part]
        assert first[part] == second[part]
    assert first["Date"].datetime == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)


def test_envelope_sender_is_unique_with_a_bounce_address() -> None:
    claimed = row({"alerts": [ALERT]}, number=5)
    assert Composer(SETTINGS, no_chart).compose(claimed).sender == "alerts@coinwatch.test"
    email = Composer(make_settings(bounce_address="bounces@coinwatch.test"), no_chart).compose(claimed)
    assert email.sender == f"bounces+5-{UUID(int=5).hex}@coinwatch.test"
    assert parse(email)["From"] == "coinwatch <alerts@coinwatch.test>"


@pytest.mark.parametrize(
    ("zone", "shown"), [("Asia/Tehran", "2026-03-01 15:31:00 +0330"), ("Mars/Base", "2026-03-01 12:01:00 UTC")]
)
def test_times_are_in_the_recipients_time_zone(zone: str, shown: str) -> None:
    assert shown in content(compose_alert(timezone=zone), "plain")


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "BTC up 5% to 105.00 USD on Kraken"),
        ({"change_percent": -0.07, "price": 94197.12, "exchange": "index"}, "BTC down 0.07% to 94,197.12 USD"),
        (
            {"kind": "change_over_window", "window_seconds": 600},
            "BTC up 5% in 10 minutes to 105.00 USD on Kraken",
        ),
        (
            {"kind": "deviation_from_average", "window_seconds": 300},
            "BTC 5% above its 5-minute average at 105.00 USD on Kraken",
        ),
        (
            {"kind": "deviation_from_average", "window_seconds": 3600, "change_percent": -5.2},
            "BTC 5.2% below its 1-hour average at 105.00 USD on Kraken",
        ),
        ({"kind": "crosses", "threshold": 104.0}, "BTC rose above 104.00 to 105.00 USD on Kraken"),
        ({"kind": "crosses", "threshold": 105.0}, "BTC rose to 105.00 USD on Kraken"),
        (
            {"kind": "crosses", "threshold": 1.23e-6, "price": 1.2e-6, "change_percent": -3.0},
            "BTC fell below 0.00000123 to 0.0000012 USD on Kraken",
        ),
        ({"threshold": 1.245, "change_percent": 1.2452}, "BTC up 1.245% to 105.00 USD on Kraken"),
        (
            {"metric": "volume_24h", "change_percent": -60.0, "price": 4000.0},
            "BTC 24 h volume down 60% to 4,000 BTC on Kraken",
        ),
    ],
)
def test_subject_describes_the_alert(changes: dict[str, Any], subject: str) -> None:
    assert compose_alert(**changes)["Subject"] == subject


@given(st.decimals(str(LOWEST_PERCENT), str(HIGHEST_PERCENT), places=3), st.floats(1, 3), st.sampled_from([1, -1]))
def test_displayed_change_is_never_below_the_threshold(threshold: Decimal, times: float, sign: int) -> None:
    alert = {**ALERT, "threshold": float(threshold), "change_percent": sign * float(threshold) * times}
    shown = re.search(r"[\d.,]+(?=%)", change_text(alert))
    assert shown is not None
    assert Decimal(shown[0].replace(",", "")) >= threshold


def test_tiny_change_is_not_shown_as_zero() -> None:
    text = content(compose_alert(kind="crosses", threshold=105.0, change_percent=-0.00042), "plain")
    assert re.search(r"Change +-0\.0004%", text)


@pytest.mark.parametrize(
    ("kind", "seconds", "line"),
    [
        ("deviation_from_average", 900, "15-minute average   100.00 USD"),
        ("change_over_window", 30 * 86400, "30 days earlier     100.00 USD"),
        ("change_since_last", 0, "Previous price      100.00 USD"),
    ],
)
def test_reference_value_has_its_own_label(kind: str, seconds: int, line: str) -> None:
    assert line in content(compose_alert(kind=kind, window_seconds=seconds), "plain")


def test_late_alerts_follow_the_current_ones() -> None:
    message = compose({"timezone": "UTC", "alerts": [{**ALERT, "late": True, "change_percent": 50.0}, ALERT]})
    assert message["Subject"].startswith("BTC up 5% to")
    for kind in ("plain", "html"):
        part = content(message, kind)
        assert part.index("p 5%") < part.index("Alerts from when coinwatch was down") < part.index("up 50%")


def test_repeated_hour_is_unambiguous() -> None:
    """New York sets its clocks back from 02:00 to 01:00."""
    alerts = [{**ALERT, "observed_at": f"2026-11-01T0{hour}:30:00+00:00", "late": True} for hour in (5, 6)]
    message = compose({"timezone": "America/New_York", "alerts": alerts})
    for kind in ("plain", "html"):
        assert "2026-11-01 01:30 EDT" in content(message, kind)
        assert "2026-11-01 01:30 EST" in content(message, kind)


def test_expiry_email_describes_the_condition() -> None:
    message = compose(ALERT, kind="expired")
    assert "BTC/USD" in message["Subject"]
    assert "the price moves by 5%" in " ".join(content(message, "plain").split())


PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["alerts", "digest"]),
        st.lists(st.tuples(st.integers(1, 9), st.sampled_from([2.0, 5.0]), st.booleans()), min_size=1, max_size=4),
    ),
    max_size=6,
)


@given(PEOPLE)
def test_emails_from_a_shared_draft_match_individual_emails(
    people: list[tuple[str, list[tuple[int, float, bool]]]],
) -> None:
    composer = Composer(SETTINGS, fixed_chart)
    with patch("itsdangerous.timed.time.time", lambda: 1_790_000_000.0):
        for number, (kind, fired) in enumerate(people, 1):
            alerts = [
                {**ALERT, "alert_id": 10 * number + place, "subscription_id": subscription, "threshold": threshold}
                | {"late": late and place > 0 and kind == "alerts"}
                for place, (subscription, threshold, late) in enumerate(fired)
            ]
            claimed = row({"timezone": "UTC", "alerts": alerts, "period": "daily"}, kind=kind, number=number)
            shared, alone = composer.compose(claimed), Composer(SETTINGS, fixed_chart).compose(claimed)
            assert without_boundaries(shared) == without_boundaries(alone)


def without_boundaries(email: Email) -> Email:
    """The email with fixed boundaries, because EmailMessage generates random ones."""
    return replace(email, data=re.sub(rb"=====+\d+==", b"boundary", email.data))


@pytest.mark.parametrize("name", ["Kraken", "Krakén"], ids=["seven bits", "quoted-printable"])
def test_links_belong_to_their_recipient(name: str) -> None:
    composer = Composer(SETTINGS, fixed_chart)
    for number, subscription_id in ((1, 41), (2, 42), (3, 43)):
        alert = {**ALERT, "subscription_id": subscription_id, "exchange_name": name}
        message = parse(composer.compose(row({"timezone": "UTC", "alerts": [alert]}, number=number)))
        html, text = content(message, "html"), content(message, "plain")
        for part in (html, text, str(message["List-Unsubscribe"])):
            assert {read_unsubscribe(SETTINGS, token).subscription_ids for token in tokens("unsubscribe", part)} == {
                (subscription_id,)
            }
        assert {read_manage(SETTINGS, token) for token in tokens("manage", html + text)} == {
            LinkKey(UUID(int=number), 0)
        }


def tokens(page: str, text: str) -> list[str]:
    return re.findall(rf"/{page}/([\w.-]+)", text)


@pytest.mark.parametrize("exchange", ["index", "coinnews"])
@pytest.mark.parametrize("kind", ["alerts", "digest", "confirmation", "expired"])
def test_emails_about_simulated_prices_say_so(kind: str, exchange: str) -> None:
    about = {"exchange": exchange, "exchange_name": "coinnews (simulated)", "simulated": True}
    if kind in {"confirmation", "expired"}:
        message = compose({**ALERT, **about, "pair": "BTC/USD", "condition": "the price rises"}, kind)
    else:
        message = compose({"timezone": "UTC", "period": "daily", "alerts": [{**ALERT, **about}]}, kind)
    assert message["Subject"].startswith("Demo prices: ")
    for part in ("plain", "html"):
        assert "simulated or replayed, not from a market" in " ".join(content(message, part).split())
        assert "median" not in content(message, part)


def test_emails_about_real_prices_have_no_banner() -> None:
    message = compose_alert(exchange="index")
    assert "Demo" not in message["Subject"] + content(message, "plain") + content(message, "html")
