"""Sizes of the database and its tables."""

import time
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from coinwatch import gauges
from coinwatch.database import create_engine, transaction
from coinwatch.formatting import format_bytes
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.ingest.partitions import ensure_partitions
from coinwatch.settings import Settings
from coinwatch.status import TableSize, pipeline_status
from tests.conftest import Database
from tests.support.quotes import at, load, quote

DAY = 24 * 60


def disk(engine: sa.Engine) -> dict[str, TableSize]:
    return {table.table: table for table in pipeline_status(engine, at(0)).disk}


def test_table_sizes_group_price_partitions_but_not_resolutions(catalog: sa.Engine, database: Database) -> None:
    load(catalog, *(quote(10, minute) for minute in range(0, 3 * DAY, 10)), now=at(3 * DAY))
    refresh_candles(catalog)
    admin = create_engine(database.url("admin"))
    with transaction(admin) as connection:
        connection.execute(sa.text("ANALYZE"))
        sizes = connection.execute(
            sa.text(
                "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'prices'::regclass"
            )
        )
        expected = sizes.scalar_one()
    admin.dispose()
    tables = disk(catalog)
    assert tables["prices"] == TableSize("prices", expected, 432, 4, date(2026, 3, 1), date(2026, 3, 4))
    assert tables["candles_1m"].rows_estimate == 432
    assert tables["candles_1h"].rows_estimate == 72
    assert tables["candles_1m"].partitions is None
    assert tables["candles_1m"].bytes > tables["candles_1h"].bytes > 0
    assert not {name for name in tables if name.startswith("prices_")} | ({"candles"} & set(tables))


def test_rows_are_estimated_before_the_first_analyze(catalog: sa.Engine) -> None:
    load(catalog, *(quote(10, minute) for minute in range(100)), now=at(100))
    with transaction(catalog) as connection:  # otherwise statistics are flushed when the session is idle
        connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    assert 0 < disk(catalog)["prices"].rows_estimate <= 200


def test_status_is_fast_with_a_year_of_partitions(catalog: sa.Engine, settings: Settings) -> None:
    ensure_partitions(catalog, [date(2026, 1, 1) + timedelta(days=number) for number in range(365)])
    disk(catalog)
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        assert disk(catalog)["prices"].partitions == 365
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 1.0, "about 15 ms on an idle machine"


def test_gauges_contain_the_same_sizes(catalog: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, float] = {}
    monkeypatch.setattr(gauges, "send_gauges", lambda _, values: sent.update(values))
    load(catalog, quote(10, 0))
    assert gauges.send_disk_gauges(catalog, settings) == len(sent)
    status = pipeline_status(catalog, at(0))
    assert sent.pop("database.bytes") == pytest.approx(status.database_bytes, rel=0.1)
    assert sent == {f"database.{table.table}.bytes": table.bytes for table in status.disk}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 kB"), (73_400_320, "70.0 MB"), (5 * 1024**4, "5.0 TB")],
)
def test_format_byte_size(count: int, text: str) -> None:
    assert format_bytes(count) == text
