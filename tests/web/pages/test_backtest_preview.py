"""How often a rule would have told somebody: in the form before subscribing, and in the API."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.web.error_handlers import TOO_LONG
from coinwatch.web.middleware.rate_limiter import BACKTESTS, Turns
from coinwatch.web.services import backtest_preview as preview
from tests.conftest import Database
from tests.web.conftest import NOW
from tests.web.seed import INSERT

pytestmark = pytest.mark.usefixtures("market")

FORM = {"coin": "BTC", "exchange": "coinbase", "kind": "change_since_last", "threshold_percent": "5", "email": "x"}


@pytest.fixture
def month(engine: sa.Engine, market: None) -> None:
    """ETH at Coinbase over 31 days, every three hours: 100, but 110 at noon of each third day."""
    moments = [NOW - timedelta(hours=hours) for hours in range(31 * 24, 30, -3)]
    with engine.begin() as connection:
        days = {"first": moments[0].date(), "last": NOW.date()}
        connection.execute(sa.text("SELECT create_price_partitions(:first, :last)"), days)
        connection.execute(sa.text("DELETE FROM prices"))
        rows = [{"observed_at": moment, "price": 110.0 if _is_high(moment) else 100.0} for moment in moments]
        none = {"volume": None, "bid": None, "ask": None}
        connection.execute(INSERT, [row | {"exchange": "coinbase", "base": "ETH"} | none for row in rows])


def _is_high(moment: datetime) -> bool:
    return moment.day % 3 == 0 and 12 <= moment.hour < 15


def words(page: str) -> str:
    """What the preview says, without its tags."""
    section = page.split('id="preview"')[1].partition("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section)).strip()


@pytest.mark.usefixtures("month")
def test_the_form_says_how_often_and_keeps_all_that_was_typed(client: TestClient, engine: sa.Engine) -> None:
    typed = FORM | {"coin": "ETH", "threshold_percent": "7,5 %", "direction": "up", "email": "ada@example.org"}
    page = client.post("/subscribe/preview", data=typed)
    assert page.status_code == 200
    past = backtest(
        engine,
        Rule(threshold=7.5, direction="up", cooldown_seconds=3600),
        "ETH",
        "coinbase",
        start=NOW - timedelta(days=30),
        end=NOW,
    )
    assert [alert.change_percent for alert in past.alerts] == [pytest.approx(10)] * len(past.alerts)
    assert 8 <= len(past.alerts) <= 10
    assert f"In the last 30 days this would have alerted you {len(past.alerts)} times, about 2 a week." in words(
        page.text
    )
    assert "110.00 from 100.00 ▲ +10.00%" in words(page.text)
    assert page.text.count('<circle class="mark"') == len(past.alerts)
    assert len(re.findall(r"<tr><td><time", page.text)) == 5
    assert 'value="7,5 %"' in page.text
    assert 'value="ada@example.org"' in page.text
    assert '<option value="up" selected>' in page.text
    assert list_subscriptions(engine) == []


def test_it_works_inside_airflow_for_whoever_may_look(inside_as: Callable[..., TestClient]) -> None:
    page = inside_as("viewer").post("/coinwatch/subscribe/preview", data=FORM)
    assert page.status_code == 200
    assert 'formaction="/coinwatch/subscribe/preview#preview"' in page.text
    assert "this would not have told you anything" in words(page.text)
    assert inside_as(None).post("/coinwatch/subscribe/preview", data=FORM).status_code == 401


def test_opening_its_page_again_leads_back_to_the_form(client: TestClient) -> None:
    answer = client.get("/subscribe/preview")
    assert (answer.status_code, answer.headers["location"]) == (303, "/subscribe")


@pytest.mark.usefixtures("month")
def test_what_never_told_anything_says_so_and_where_the_price_was(client: TestClient) -> None:
    typed = FORM | {"coin": "ETH", "kind": "crosses", "level": "200"}
    said = words(client.post("/subscribe/preview", data=typed).text)
    assert "ETH: the price crosses 200 USD In the last 30 days this would not have told you anything." in said
    assert "It stayed between 100.00 USD and 110.00 USD." in said


@pytest.mark.usefixtures("month")
def test_a_rule_that_ends_with_its_first_alert_says_when(client: TestClient) -> None:
    said = words(client.post("/subscribe/preview", data=FORM | {"coin": "ETH", "repeat": "once"}).text)
    assert re.search(r"This would have told you on \d+ (October|November) at \d\d:00 UTC, and then ended\.", said)


def test_little_history_is_said_and_gives_no_rate(client: TestClient) -> None:
    said = words(client.post("/subscribe/preview", data=FORM | {"threshold_percent": "0.11"}).text)
    assert re.search(r"In the last (30 hours|24 hours|1 day) this would have alerted you \d+ times\.", said), said
    assert "There are no older prices yet; 30 days would tell more." in said
    assert "a week" not in said


def test_a_flood_is_warned_of_with_a_change_that_would_not_be_one(client: TestClient, engine: sa.Engine) -> None:
    typed = FORM | {"threshold_percent": "0.01", "cooldown_seconds": "0"}
    said = words(client.post("/subscribe/preview", data=typed).text)
    assert re.search(r"That is an alert every \d\d minutes\.", said)
    suggested = re.search(r"from ([\d.]+) % on it would have been about one a day", said)
    assert suggested, said
    rule = Rule(threshold=float(suggested[1]))
    past = backtest(engine, rule, "BTC", "coinbase", start=NOW - timedelta(days=2), end=NOW)
    assert len(past.alerts) <= 2


def test_an_average_of_a_time_without_values_is_pointed_out(client: TestClient) -> None:
    said = words(client.post("/subscribe/preview", data=FORM | {"kind": "deviation_from_average"}).text)
    assert re.search(r"Values come about every 1\d minutes: choose an average over a longer time\.", said)


def test_a_first_value_of_this_very_moment_is_no_trouble(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM prices"))
        row = {"exchange": "coinbase", "base": "BTC", "observed_at": NOW, "price": 100.0}
        connection.execute(INSERT, row | {"volume": 0.0, "bid": None, "ask": None})
    for metric in ("price", "volume_24h"):
        page = client.post("/subscribe/preview", data=FORM | {"kind": "crosses", "level": "200", "metric": metric})
        assert page.status_code == 200
        assert "In the last 1 minute this would not have told you anything." in words(page.text)


def test_without_values_the_form_says_why(client: TestClient) -> None:
    volume = FORM | {"metric": "volume_24h"}
    assert "All exchanges together have no 24 h volume" in words(
        client.post("/subscribe/preview", data=volume | {"exchange": ""}).text
    )
    assert "Volume (BTC)" not in words(client.post("/subscribe/preview", data=volume).text), "it never changed"
    typed = FORM | {"exchange": "kraken", "quote": "EUR"}
    assert "There are no prices here yet." in words(client.post("/subscribe/preview", data=typed).text)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold_percent", "", "Please fill this in."),
        ("threshold_percent", "5000", "between 0.01 and 1000 percent"),
        ("coin", "NOPE", "is not watched"),
        ("exchange", "mtgox", "There is no exchange"),
    ],
)
def test_a_mistake_stands_at_its_field(client: TestClient, field: str, value: str, message: str) -> None:
    page = client.post("/subscribe/preview", data=FORM | {"exchange": "", field: value})
    assert page.status_code == 422
    assert message in page.text.split(f'id="{field}-problem"')[1]


@pytest.mark.usefixtures("month")
def test_the_api_tells_the_same_as_the_library(client: TestClient, engine: sa.Engine) -> None:
    rule = Rule("change_over_window", 8, "down", window_seconds=3 * 3600)
    past = backtest(engine, rule, "ETH", "coinbase", start=NOW - timedelta(days=14), end=NOW)
    query: dict[str, str | int] = {
        "coin": "ethereum",
        "exchange": "coinbase",
        "kind": "change_over_window",
        "threshold_percent": 8,
    }
    told = client.get(
        "/api/v1/backtest", params=query | {"direction": "down", "window_seconds": 3 * 3600, "days": 14}
    ).json()
    assert told["alerts"] == len(past.alerts) > 2
    assert told["newest"][0]["observed_at"] == past.alerts[-1].observed_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert told["newest"][0]["change_percent"] == pytest.approx(-100 / 11)
    assert told["condition"] == "the price falls by 8% or more within 3 hours"
    assert told["per_week"] == past.per_week == pytest.approx(len(past.alerts) / 2, rel=0.02)
    assert told["values"] == past.quotes


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"days": 91}, "days", "at most 90"),
        ({"days": 0}, "days", "at least 1"),
        ({"threshold_percent": "70,000"}, "threshold_percent", "is not a number"),
        ({"kind": "crosses"}, "level", "Please fill this in."),
        ({"window_seconds": 60}, "window_seconds", "has no window"),
        ({"email": "ada@example.org"}, "email", "There is no such field"),
    ],
)
def test_the_api_names_the_wrong_field(client: TestClient, query: dict[str, str], field: str, message: str) -> None:
    answer = client.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": "5"} | query)
    assert answer.status_code == 422
    assert message in answer.json()["fields"][field]


def test_the_api_is_described(client: TestClient) -> None:
    described = client.get("/docs").text.split("/api/v1/backtest")[1].split("</section>")[0]
    for parameter in ("coin", "level", "window_seconds", "days"):
        assert f"<code>{parameter}</code>" in described
    assert "90 at most" in described


def test_a_caller_who_asks_without_end_is_told_when_to_come_again(client: TestClient, operator: TestClient) -> None:
    statuses = {
        client.post("/subscribe/preview", data=FORM | {"coin": "NOPE"}).status_code for _ in range(BACKTESTS[0][0])
    }
    assert statuses == {422}
    answer = client.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": 5})
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    page = client.post("/subscribe/preview", data=FORM)
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    assert "Too many backtests came from your network. Please try again in" in page.text
    assert operator.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": 5}).status_code == 200


@pytest.fixture
def held_up(database: Database, market: None) -> Iterator[None]:
    """Somebody holds the prices, so that whoever reads them waits."""
    with psycopg.connect(database.url("admin")) as connection:
        connection.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@pytest.mark.usefixtures("held_up")
def test_two_are_worked_out_at_a_time_and_given_up_after_seconds(
    alone: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "STATEMENT_LIMIT", timedelta(seconds=2))
    object.__setattr__(alone.state.site, "backtest_turns", Turns(at_once=2, patience_seconds=0.1))
    query: dict[str, str | int] = {"coin": "BTC", "threshold_percent": 5}
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        answer = client.get("/api/v1/backtest", params=query)
        answers.append((answer.status_code, answer.json()["message"]))

    waiting = [threading.Thread(target=ask) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while not _both_taken(alone):
        threading.Event().wait(0.01)
    third = client.get("/api/v1/backtest", params=query)
    assert third.status_code == 429
    assert third.headers["retry-after"] == "5"
    assert "Others are trying out rules right now" in third.json()["message"]
    for thread in waiting:
        thread.join()
    assert answers == [(503, TOO_LONG)] * 2
    page = client.post("/subscribe/preview", data=FORM)
    assert page.status_code == 503
    assert TOO_LONG in page.text
    assert 'value="x"' in page.text


def _both_taken(app: FastAPI) -> bool:
    return bool(app.state.site.backtest_turns._free._value == 0)
