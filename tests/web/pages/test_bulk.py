"""Creating alerts from a CSV file: every spelling of a file, every error at once, all or nothing."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import DEFAULT_EXTREME_COOLDOWN_SECONDS, PERIODS, Rule
from coinwatch.alerts.subscriptions import MAX_SUBSCRIPTIONS, list_subscriptions
from coinwatch.mail.links import confirmation_link
from coinwatch.settings import Settings
from coinwatch.web.services.alert_form.csv_file import MAX_ALERTS, decode_csv, parse_alerts
from coinwatch.web.templating import WEB_ROOT
from tests.web.seed import NOW
from tests.web.subscribing import ADA, BOB, add_subscription, link_key, path_of, queued_emails, sign_in

pytestmark = pytest.mark.usefixtures("market")
TWO = "coin,kind,threshold_percent,level,window\nBTC,change_over_window,5,,1h\nETH,crosses,,4000,\n"
LEVEL = Rule("crosses", 45_000, "up", cooldown_seconds=3600)


def check(client: TestClient, text: str) -> Any:
    return client.post("/subscribe/bulk", data={"csv": text, "action": "check"})


def create(client: TestClient, text: str, email: str = ADA, path: str = "/subscribe/bulk") -> Any:
    return client.post(path, data={"csv": text, "email": email, "action": "create"})


def rules(engine: sa.Engine, text: str) -> list[Rule]:
    listed = parse_alerts(engine, text, NOW)
    assert listed.errors == []
    return [alert.rule for alert in listed.alerts]


def errors(engine: sa.Engine, text: str) -> list[tuple[int, str]]:
    """The line and column of each error."""
    return [(error.line, error.column) for error in parse_alerts(engine, text, NOW).errors]


@pytest.mark.parametrize(
    "content",
    [
        b"coin,kind,level,direction\nBTC,crosses,45000,up\n",
        b"\xef\xbb\xbfcoin;kind;level;direction\r\nBTC;crosses;45.000,00;up\r\n",
        "Coin\tKind\tLevel\tDirection\r\nbitcoin\tCrosses\t45 000\tUP\r\n".encode("utf-16"),
        b"Symbol;Price (USD);Direction;;\nBTC;45.000;up;;\n;;;;\n\n",
        b'coin,"level",direction\n"BTC","45,000",up',
        b"coin;level;direction;\xa0\nBTC;45\xa0000;up;",
    ],
    ids=["program", "German Excel", "Unicode text", "aliases and empty cells", "quoted", "Windows-1252"],
)
def test_files_of_every_program_are_read(engine: sa.Engine, content: bytes) -> None:
    assert rules(engine, decode_csv(content)) == [LEVEL]


def test_every_column_is_read(engine: sa.Engine) -> None:
    text = (
        "coin;exchange;quote;kind;metric;direction;threshold_percent;window;cooldown;repeat;last_day\n"
        "BTC;kraken;EUR;change_over_window;price;down;2,5 %;4h;1d;once;2026-12-31\n"
        "BTC;coinbase;;deviation_from_average;volume_24h;;3;600;0;WAHR;31.12.2026\n"
    )
    listed = parse_alerts(engine, text, NOW)
    assert listed.errors == []
    expires_at = datetime(2027, 1, 1, tzinfo=UTC)
    assert [(alert.line, alert.instrument.exchange, alert.instrument.pair, alert.rule) for alert in listed.alerts] == [
        (2, "kraken", "BTC/EUR", Rule("change_over_window", 2.5, "down", "price", 14400, 86_400, False, expires_at)),
        (3, "coinbase", "BTC/USD", Rule("deviation_from_average", 3, "either", "volume_24h", 600, 0, True, expires_at)),
    ]


def test_highs_and_ladders_are_read(engine: sa.Engine) -> None:
    text = "coin,kind,period,ladder,level\nBTC,new_high,52w,,\nBTC,,,5,45000\n"
    assert rules(engine, text) == [
        Rule("new_high", 0, "up", "price", PERIODS["52w"], DEFAULT_EXTREME_COOLDOWN_SECONDS),
        Rule("crosses", 45_000, cooldown_seconds=3600, ladder_percent=5),
    ]


def test_template_to_download_is_valid(client: TestClient, engine: sa.Engine) -> None:
    assert re.search(r'href="/static/[^"]*alerts\.csv"', client.get("/subscribe/bulk").text)
    assert len(rules(engine, (WEB_ROOT / "static" / "alerts.csv").read_text())) == 4


def test_every_error_of_every_line_is_reported(engine: sa.Engine) -> None:
    text = (
        "coin,exchange,kind,level,threshold_percent,window,direction,last_day\n"
        "BTC,,crosses,high,,,sideways,yesterday\n"
        "NOPE,mtgox,change_over_window,,5000,5 lightyears,up,2020-01-01\n"
        "BTC,,crosses,45000,,,up,\n"
        ",,crosses,45000,,,up,\n"
        "ETH,,crosses,,5,,up,\n"
        "BTC,,crosses,45000,,,up,,,extra\n"
        "BTC,,crosses,45000.0,,,up,\n"
    )
    found = errors(engine, text)
    assert {(2, "level"), (2, "direction"), (2, "expires_at")} <= set(found)
    assert {(3, "exchange"), (3, "threshold_percent"), (3, "window_seconds"), (3, "expires_at")} <= set(found)
    assert (5, "coin") in found
    assert {column for line, column in found if line == 6} == {"threshold_percent"}
    assert (7, "") in found
    assert (8, "") in found, "the same alert as line 4"
    assert not [line for line, _ in found if line == 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, "")),
        ("coin", (1, "")),
        ("BTC,5\nETH,6", (1, "BTC")),
        ("threshold_percent\n5", (1, "")),
        ("coin,colour\nBTC,red", (1, "colour")),
        ("coin,level,price\nBTC,1,2", (1, "price")),
        ("coin\0\nBTC", (1, "")),
        ("coin,threshold_percent\n" + "BTC,5\n" * (MAX_ALERTS + 1), (MAX_ALERTS + 2, "")),
        ("coin,threshold_percent\n" + "x" * 400 + ",5", (2, "coin")),
    ],
)
def test_unusable_file_is_explained(engine: sa.Engine, text: str, expected: tuple[int, str]) -> None:
    assert errors(engine, text)[0] == expected


def test_line_numbers_count_lines_within_quotes_and_empty_ones(engine: sa.Engine) -> None:
    text = 'coin,threshold_percent\n\n"B\nTC",5\nNOPE,5\n'
    assert [line for line, _ in errors(engine, text)] == [3, 5]


def test_file_is_checked_before_anything_is_created(client: TestClient, engine: sa.Engine) -> None:
    page = check(client, TWO)
    assert page.status_code == 200
    assert "the price moves by 5% or more within 1 hour" in page.text
    assert "BTC is 43,215.12 USD now" in page.text
    assert "Create 2 alerts" in page.text
    assert "ETH,crosses,,4000" in page.text, "the text is sent again with the button"
    assert list_subscriptions(engine) == []


def test_uploaded_file_is_kept_as_text(client: TestClient, engine: sa.Engine) -> None:
    files = {"file": ("alerts.csv", "\ufeffcoin;level\nBTC;45.000,00\n".encode(), "text/csv")}
    page = client.post("/subscribe/bulk", data={"csv": "", "action": "check"}, files=files)
    assert page.status_code == 200
    [kept] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert create(client, html.unescape(kept)).status_code == 200
    assert [found.threshold for found in list_subscriptions(engine)] == [45_000]


def test_one_wrong_line_creates_nothing(client: TestClient, engine: sa.Engine) -> None:
    page = create(client, TWO + "NOPE,crosses,,1,\n")
    assert page.status_code == 422
    assert re.search(r"<td>4</td><td><code>coin</code></td>", page.text)
    assert (list_subscriptions(engine), queued_emails(engine)) == ([], [])


def test_invalid_address_creates_nothing_and_keeps_the_file(client: TestClient, engine: sa.Engine) -> None:
    page = create(client, TWO, email="nobody")
    assert page.status_code == 422
    assert 'id="email-error"' in page.text
    assert "ETH,crosses,,4000" in page.text
    assert list_subscriptions(engine) == []


def test_one_email_confirms_all_alerts(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    page = create(client, TWO)
    assert page.status_code == 200
    assert "Check your email" in page.text
    created = list_subscriptions(engine)
    assert [(found.status, found.base) for found in created] == [("pending", "BTC"), ("pending", "ETH")]
    assert queued_emails(engine) == [f"confirmation to {ADA}"]
    link = path_of(confirmation_link(settings, link_key(engine, created[0]), created[0].id))
    client.post(link, data={"chosen": "true", "alert": [str(found.id) for found in created]})
    assert {found.status for found in list_subscriptions(engine)} == {"active"}


@pytest.mark.parametrize("existing", ["none", "one", "all"])
def test_response_does_not_reveal_what_an_address_has(client: TestClient, engine: sa.Engine, existing: str) -> None:
    new = create(client, TWO, email=BOB)
    for coin, rule in (
        ("BTC", {"kind": "change_over_window", "window_seconds": 3600}),
        ("ETH", {"kind": "crosses", "threshold": 4000.0}),
    )[: {"none": 0, "one": 1, "all": 2}[existing]]:
        add_subscription(engine, coin=coin, **rule)  # type: ignore[arg-type]
    again = create(client, TWO)
    assert (again.status_code, again.text.replace(ADA, BOB)) == (new.status_code, new.text)
    assert queued_emails(engine)[1:] == [f"{'manage' if existing == 'all' else 'confirmation'} to {ADA}"]


def test_alerts_of_a_signed_in_subscriber_are_active_at_once(client: TestClient, engine: sa.Engine) -> None:
    add_subscription(engine, kind="crosses", coin="ETH", threshold=4000.0)
    sign_in(client, engine)
    assert re.search(rf'readonly[^>]*value="{ADA}"', check(client, TWO).text, re.DOTALL)
    page = create(client, TWO)
    assert page.status_code == 201
    assert "1 alert created" in page.text
    assert "1 alert of the file existed already" in page.text
    assert {found.status for found in list_subscriptions(engine)} == {"active"}
    assert queued_emails(engine) == []


def test_more_alerts_than_an_address_can_have_create_none(
    inside_as: Callable[..., TestClient], engine: sa.Engine
) -> None:
    for number in range(MAX_SUBSCRIPTIONS - 1):
        add_subscription(engine, threshold=3.0 + number)
    page = create(inside_as("admin"), TWO, path="/coinwatch/subscribe/bulk")
    assert page.status_code == 422
    assert str(MAX_SUBSCRIPTIONS) in page.text
    assert len(list_subscriptions(engine)) == MAX_SUBSCRIPTIONS - 1


def test_file_counts_as_one_request_of_the_limit(client: TestClient) -> None:
    statuses = [create(client, TWO, email=f"a{number}@example.org").status_code for number in range(11)]
    assert statuses == [200] * 10 + [429]


def test_file_beyond_the_limit_of_a_request_is_rejected(client: TestClient) -> None:
    assert check(client, "coin\n" + "BTC\n" * 20_000).status_code == 413
