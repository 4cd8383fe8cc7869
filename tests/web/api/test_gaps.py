"""Gaps over the API."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.web.seed import NOW

pytestmark = pytest.mark.usefixtures("market")

INSERT_GAP = sa.text("""
  INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
  SELECT i.id, CAST(:start AS date), :start, :end, :status, :reason, :end
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE e.code = 'kraken' AND i.base = 'BTC' AND i.quote = 'USD'
""")


def add_gap(engine: sa.Engine, hours_ago: float, hours: float, status: str, reason: str | None) -> None:
    start = NOW - timedelta(hours=hours_ago)
    values = {"start": start, "end": start + timedelta(hours=hours), "status": status, "reason": reason}
    with engine.begin() as connection:
        connection.execute(INSERT_GAP, values)


def test_gaps_are_listed_with_their_reason(client: TestClient, engine: sa.Engine) -> None:
    add_gap(engine, 5, 1, "unavailable", "Kraken has no candles for this time")
    add_gap(engine, 3, 1, "open", None)
    add_gap(engine, 9, 1, "repaired", None)
    body = client.get("/api/v1/gaps/bitcoin?exchange=kraken").json()
    assert (body["exchange"], body["base"], body["quote"]) == ("kraken", "BTC", "USD")
    assert [(gap["started_at"], gap["status"], gap["reason"]) for gap in body["gaps"]] == [
        ("2026-11-20T07:00:30Z", "unavailable", "Kraken has no candles for this time"),
        ("2026-11-20T09:00:30Z", "open", None),
    ]
    assert client.get("/api/v1/gaps/BTC").json()["gaps"] == [], "of the index"
    cut = client.get("/api/v1/gaps/BTC?exchange=kraken&start=2026-11-20T07:30:00Z&end=2026-11-20T08:00:00Z").json()
    assert [(gap["started_at"], gap["ended_at"]) for gap in cut["gaps"]] == [
        ("2026-11-20T07:30:00Z", "2026-11-20T08:00:00Z")
    ]


def test_gaps_are_also_csv(client: TestClient, engine: sa.Engine) -> None:
    add_gap(engine, 5, 1, "unavailable", "=cmd()")
    response = client.get("/api/v1/gaps/BTC?exchange=kraken&format=csv")
    assert response.headers["content-type"].startswith("text/csv")
    header, row = response.text.splitlines()
    assert header == "exchange,base,quote,started_at,ended_at,status,reason"
    assert row.startswith("kraken,BTC,USD,2026-11-20T07:00:30Z,2026-11-20T08:00:30Z,unavailable,'=cmd()")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start=2020-01-01T00:00:00Z", "start"),
        ("start=2026-11-20T00:00:00Z&end=2026-11-19T00:00:00Z", "start"),
        ("end=0001-01-01T00:00:00Z", "end"),
        ("start=yesterday", "start"),
    ],
)
def test_invalid_ranges_are_rejected(client: TestClient, query: str, field: str) -> None:
    response = client.get(f"/api/v1/gaps/BTC?{query}")
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_unknown_coin_is_not_found(client: TestClient) -> None:
    assert client.get("/api/v1/gaps/NOPE").status_code == 404
    assert client.get("/api/v1/gaps/BTC?exchange=mtgox").status_code == 404
