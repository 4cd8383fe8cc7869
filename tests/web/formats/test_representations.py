"""JSON, CSV and Parquet by ``?format=`` and the Accept header."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.web.error_handlers import NotAcceptable
from coinwatch.web.formats.representations import CSV, FORMATS, JSON, PARQUET, choose_format
from coinwatch.web.formats.tables import Table

NOON = datetime(2026, 11, 20, 12, 0, 30, 250_000, timezone(timedelta(hours=1)))


@dataclass(frozen=True)
class Row:
    name: str
    price: float | None
    count: int
    seen_at: datetime | None
    state: Literal["open", "closed"]
    fresh: bool
    details: list[int]


def row(**changes: object) -> Row:
    return Row(**({"name": "BTC", "price": 1.5, "count": 2, "seen_at": NOON, "state": "open", "fresh": True,
                   "details": []} | changes))  # type: ignore[arg-type]  # fmt: skip


def parsed(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_csv_has_a_header_exact_numbers_and_times_in_utc() -> None:
    table = Table.of(Row, [row(), row(price=1e-08, name='a "b",\nc'), row(price=None, seen_at=None)], exchange="index")
    content = table.to_csv()
    assert content.startswith(b"exchange,name,price,count,seen_at,state,fresh\r\n"), "lists are left out"
    assert parsed(content)[1:] == [
        ["index", "BTC", "1.5", "2", "2026-11-20T11:00:30.250000Z", "open", "true"],
        ["index", 'a "b",\nc', "0.00000001", "2", "2026-11-20T11:00:30.250000Z", "open", "true"],
        ["index", "BTC", "", "2", "", "open", "true"],
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_csv_are_exact_without_an_exponent(price: float) -> None:
    text = parsed(Table({"price": float}, [[price]]).to_csv())[1][0]
    assert float(text) == price
    assert "e" not in text.lower()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_text_in_csv_is_a_formula(text: str) -> None:
    [_, [written]] = parsed(Table({"name": str}, [[text]]).to_csv())
    assert written[0] not in "=+-@\t\r\n＝＋－＠"  # noqa: RUF001
    assert written.removeprefix("'") == text.removeprefix("'")
    assert parsed(Table({"price": float}, [[-1.5]]).to_csv())[1] == ["-1.5"], "numbers are not changed"


def test_parquet_has_types_and_missing_values() -> None:
    table = Table.of(Row, [row(), row(price=None, seen_at=None)])
    found = pq.read_table(pa.BufferReader(table.to_parquet()))
    assert dict(zip(found.schema.names, map(str, found.schema.types), strict=True)) == {
        "name": "string",
        "price": "double",
        "count": "int64",
        "seen_at": "timestamp[us, tz=UTC]",
        "state": "string",
        "fresh": "bool",
    }
    assert found.column("seen_at").to_pylist() == [NOON.astimezone(UTC), None]
    assert found.column("price").to_pylist() == [1.5, None]
    assert pq.read_table(pa.BufferReader(Table.of(Row, []).to_parquet())).schema == found.schema, "typed without rows"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/vnd.apache.parquet", PARQUET),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("application/json;q=0, */*;q=0.1", CSV),
        ("application/*;q=0.2, application/vnd.apache.parquet;q=0.9, text/csv;q=0.3", PARQUET),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("text/csv;q=much, application/json;q=0.1", JSON),
    ],
)
def test_accept_header_chooses_the_format(accept: str | None, chosen: object) -> None:
    assert choose_format(accept, FORMATS) is chosen


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "*/*;q=0", "nonsense", ";", "q=1"])
def test_no_acceptable_format_is_an_error(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_format(accept, FORMATS)


@pytest.mark.usefixtures("market")
def test_prices_in_each_format_are_the_same(client: TestClient) -> None:
    expected = client.get("/api/v1/prices/BTC").json()
    response = client.get("/api/v1/prices/BTC", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["content-disposition"] == 'attachment; filename="btc-prices.csv"'
    assert "Accept" in response.headers["vary"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [each["exchange"] for each in rows] == [each["exchange"] for each in expected]
    assert [float(each["price"]) for each in rows] == [each["price"] for each in expected]
    assert [each["observed_at"] for each in rows] == [each["observed_at"] for each in expected]
    binary = client.get("/api/v1/prices/BTC?format=parquet", headers={"Accept": "text/csv"})
    assert binary.headers["content-type"] == "application/vnd.apache.parquet"
    assert pq.read_table(pa.BufferReader(binary.content)).column("price").to_pylist() == [
        each["price"] for each in expected
    ]


@pytest.mark.usefixtures("market")
def test_unknown_format_is_rejected(client: TestClient) -> None:
    assert client.get("/api/v1/prices?format=xlsx").status_code == 422
    response = client.get("/api/v1/prices", headers={"Accept": "application/xml"})
    assert response.status_code == 406
    assert "text/csv" in response.text


def test_names_from_the_path_are_safe_in_the_file_name(client: TestClient, market: None) -> None:
    response = client.get("/api/v1/prices/BTC%22%0d%0aX?format=csv")
    assert response.status_code == 404
    assert "attachment" not in response.headers.get("content-disposition", "")
