"""Export as Parquet and import: the tables are restored exactly, and other tools can read the files."""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import fsspec
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from coinwatch.database import statement, transaction
from coinwatch.errors import InvalidRequest, NotFound, StorageError
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.instrument_lookup import load_instrument_lookup
from coinwatch.prices.transfer.data_export import ExportResult, export_days
from coinwatch.prices.transfer.data_import import ImportOptions, ImportResult, import_files
from coinwatch.prices.transfer.locations import open_location
from tests.support.quotes import at, load, quote

DAY = at(0).date()
NEXT = DAY + timedelta(days=1)
NOW = at(60 * 24 * 3)
TABLES = ("prices", "latest_quotes", "candles_1m", "candles_1h", "candles_1d")

Export = Callable[..., ExportResult]


@pytest.fixture
def filled(catalog: sa.Engine) -> sa.Engine:
    """Two days of quotes of two exchanges, exchange candles of one, and all candles made of them."""
    quotes = [
        quote(100 + minute / 7, minute + 0.013, exchange, pair, volume_24h=minute / 3, bid=99.1, ask=100 / 3)
        for exchange, pair in (("kraken", "BTC/USD"), ("kraken", "ETH/USD"), ("coinbase", "BTC/USD"))
        for minute in range(0, 1500, 50)
    ]
    load(catalog, *quotes, quote(1e-18, 3), quote(1e15, 4), quote(0.1 + 0.2, 5, "index", "BTC/USD"), now=NOW)
    btc = load_instrument_lookup(catalog).find("binance", "BTCUSDT").instrument_id
    minutes = [
        StoredCandle(btc, Candle(at(m), 10.1, 12 + m / 3, 1 / 3, 11, m / 7 or None, m or None))
        for m in range(0, 1500, 30)
    ]
    store_candles(catalog, "1m", minutes)
    store_candles(catalog, "1h", [StoredCandle(btc, Candle(at(0), 1, 9, 1, 5, 77.0, 100))])
    refresh_candles(catalog)
    return catalog


@pytest.fixture
def export(filled: sa.Engine) -> Export:
    def run(destination: Path | str, first: date = DAY, last: date = NEXT, **more: Any) -> ExportResult:
        return export_days(filled, str(destination), first, last, NOW, **more)

    return run


def read_back(engine: sa.Engine, *paths: Path | str, **options: Any) -> ImportResult:
    return import_files(engine, [str(path) for path in paths], ImportOptions(**options), NOW)


def contents(engine: sa.Engine) -> dict[str, list[str]]:
    """Every row as Postgres writes it, which is exact for doubles."""
    with transaction(engine) as connection:
        query = "SELECT CAST(t AS text) FROM {} t ORDER BY 1"
        return {table: list(connection.execute(sa.text(query.format(table))).scalars()) for table in TABLES}


def empty(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        for table in ("prices", "latest_quotes", "candles", "stale_candles"):
            connection.execute(sa.text(f"DELETE FROM {table}"))


def hashes(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("location", ["file", "memory"])
def test_export_and_import_round_trip(filled: sa.Engine, export: Export, tmp_path: Path, location: str) -> None:
    destination = str(tmp_path) if location == "file" else f"memory://{tmp_path.name}/lake"
    before = contents(filled)
    assert len(before["prices"]) == 93
    assert export(destination).rows == sum(len(before[table]) for table in TABLES if table != "latest_quotes")
    empty(filled)
    result = read_back(filled, destination)
    assert [file.problem for file in result.files if file.problem] == []
    assert contents(filled) == before
    again = read_back(filled, destination)
    assert sum((file.stored for file in again.files), StoreResult()).inserted == 0
    assert contents(filled) == before


def test_files_are_restored_in_any_order(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    export(tmp_path)
    before = contents(filled)
    folders = sorted(tmp_path.glob("*/day=*/exchange=*"))
    assert {folder.name for folder in folders} >= {"exchange=index", "exchange=binance", "exchange=kraken"}
    for order in (folders, folders[::-1], Random(5).sample(folders, len(folders))):
        empty(filled)
        for folder in order:
            assert [file.problem for file in read_back(filled, folder).files if file.problem] == []
        assert contents(filled) == before


def test_candles_of_dropped_prices_are_restored_from_an_export(
    filled: sa.Engine, export: Export, tmp_path: Path
) -> None:
    before = contents(filled)
    export(tmp_path, tables=["candles_1m", "candles_1h", "candles_1d"])
    empty(filled)
    read_back(filled, tmp_path / "candles_1m", tmp_path / "candles_1h" / f"day={DAY}" / "exchange=binance")
    after = contents(filled)
    assert {table: after[table] for table in TABLES[2:]} == {table: before[table] for table in TABLES[2:]}


def test_importing_an_outdated_hour_does_not_replace_a_newer_one(
    filled: sa.Engine, export: Export, tmp_path: Path
) -> None:
    export(tmp_path)
    load(filled, quote(500, 60.5), now=NOW)
    refresh_candles(filled)
    after = contents(filled)
    read_back(filled, tmp_path / "candles_1h", tmp_path / "candles_1d", tmp_path / "candles_1m")
    assert contents(filled) == after


def test_export_is_deterministic(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coinwatch.prices.transfer.data_export.ROW_GROUP", 7)
    first = export(tmp_path)
    before = hashes(tmp_path)
    assert export(tmp_path) == first
    assert hashes(tmp_path) == before, "no temporary files are left"
    path = tmp_path / "prices" / f"day={DAY}" / "exchange=kraken" / "part-0.parquet"
    assert pq.ParquetFile(path).metadata.num_row_groups == 5
    assert str(path) in {file.path for file in first.files}


def test_duckdb_and_pandas_read_the_exported_data(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    export(tmp_path)
    with transaction(filled) as connection:
        prices = sa.text(
            "SELECT exchange, base, quote, observed_at, price, volume_24h, bid, ask, received_at,"
            " CAST(observed_at AT TIME ZONE 'UTC' AS date) AS day"
            " FROM price_history ORDER BY exchange, base, quote, observed_at"
        )
        wanted = [tuple(row) for row in connection.execute(prices)]
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    found = duck.execute(
        f"SELECT exchange, base, quote, epoch_us(observed_at), price, volume_24h, bid, ask, epoch_us(received_at), day"
        f" FROM read_parquet('{tmp_path}/prices/*/*/*.parquet', hive_partitioning = true)"
        " ORDER BY exchange, base, quote, observed_at"
    ).fetchall()
    duck.close()
    assert [(*row[:3], moment(row[3]), *row[4:8], moment(row[8]), row[9]) for row in found] == wanted
    frame = pd.read_parquet(tmp_path / "candles_1m").sort_values(["exchange", "base", "quote", "opened_at"])
    with transaction(filled) as connection:
        candles = sa.text(
            "SELECT exchange, base, quote, opened_at, open, high, low, close, volume, trades, samples,"
            " CAST(source AS text) AS source FROM candle_history WHERE resolution = '1m' ORDER BY 1, 2, 3, 4"
        )
        stored = pd.DataFrame(connection.execute(candles).mappings().all())
    for column in stored.columns:
        assert frame[column].astype(object).where(frame[column].notna(), None).tolist() == [
            None if pd.isna(value) else value for value in stored[column]
        ], column
    assert sorted(frame["day"].unique()) == [str(DAY), str(NEXT)]


def moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def test_columns_have_units_and_times_are_utc(export: Export, tmp_path: Path) -> None:
    export(tmp_path, tables=["candles_1d"])
    schema = pq.read_schema(tmp_path / "candles_1d" / f"day={DAY}" / "exchange=binance" / "part-0.parquet")
    assert str(schema.field("opened_at").type) == "timestamp[us, tz=UTC]"
    assert b"base currency" in schema.field("volume").metadata[b"unit"]
    assert schema.metadata[b"coinwatch.exchange"] == b"binance"
    assert "exchange" not in schema.names, "BigQuery rejects a partition's column that is in the file too"


def test_file_rewritten_by_duckdb_can_be_imported(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    export(tmp_path / "lake")
    before = contents(filled)
    one = tmp_path / "one.parquet"
    duckdb.sql(
        f"COPY (SELECT * FROM read_parquet('{tmp_path}/lake/candles_1m/*/*/*.parquet', hive_partitioning = true))"
        f" TO '{one}' (FORMAT parquet)"
    )
    empty(filled)
    assert "--resolution: 1m, 1h, 1d" in str(read_back(filled, one).files[0].problem)
    assert read_back(filled, one, resolution="1m").files[0].stored.inserted == len(before["candles_1m"])
    assert contents(filled)["candles_1m"] == before["candles_1m"]


def test_only_invalid_rows_of_a_modified_export_are_rejected(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    export(tmp_path, tables=["candles_1h"], exchange="binance")
    path = tmp_path / "candles_1h" / f"day={DAY}" / "exchange=binance" / "part-0.parquet"
    frame = pq.ParquetFile(path).read().to_pandas()
    assert len(frame) == 12
    frame.loc[0, "base"] = "DOGE"
    frame.loc[1, "high"] = -1.0
    frame.loc[2, "source"] = "hearsay"
    frame.loc[3, "opened_at"] += pd.Timedelta(seconds=1)
    frame.to_parquet(path)
    file = read_back(filled, path).files[0]
    assert file.rejected == {
        "is for an unknown instrument": 1,
        "is invalid, a price is missing or out of bounds": 1,
        "has an unknown source": 1,
        "does not open on a 1h boundary": 1,
    }
    assert file.stored == StoreResult(0, 0, 8)
    frame.drop(columns="low").to_parquet(path)
    assert "low" in str(read_back(filled, path).files[0].problem)


def test_day_without_rows_neither_writes_nor_deletes_a_file(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    export(tmp_path)
    before = hashes(tmp_path)
    empty(filled)  # as retention does
    assert export(tmp_path) == ExportResult([])
    assert hashes(tmp_path) == before


def test_stale_candles_are_refreshed_before_the_export(filled: sa.Engine, export: Export, tmp_path: Path) -> None:
    load(filled, quote(7, 61), now=NOW)
    export(tmp_path, DAY, DAY, tables=["candles_1h"], exchange="kraken")
    frame = pd.read_parquet(tmp_path / "candles_1h")
    assert frame[frame["base"] == "BTC"]["low"].min() == 1e-18
    assert 7.0 in frame["low"].tolist()


@pytest.mark.parametrize("location", ["file", "memory"])
def test_incomplete_file_is_not_created(
    export: Export, tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = str(tmp_path) if location == "file" else f"memory://{tmp_path.name}/broken"
    system, folder = open_location(destination)
    export(destination, DAY, DAY, tables=["candles_1m"], exchange="kraken")
    before = {path: system.cat_file(path) for path in system.find(folder)}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(StorageError, match="No space left on device"):
        export(destination, tables=["candles_1m", "prices"])
    assert {path: system.cat_file(path) for path in system.find(folder)} == before


def test_invalid_address_or_exchange_is_an_error(export: Export, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="nowhere://user-free/x"):
        export("nowhere://user-free/x")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        export(tmp_path / "file" / "below")
    with pytest.raises(NotFound, match="mtgox"):
        export(tmp_path, exchange="mtgox")
    with pytest.raises(InvalidRequest, match=r"the last day that can be exported is"):
        export(tmp_path, DAY, NOW.date())
    with pytest.raises(InvalidRequest, match="after the last"):
        export(tmp_path, NEXT, DAY)


def test_missing_library_error_says_how_to_install_it(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(
        InvalidRequest, match=r"s3://\*\*\*|uv sync --inexact --extra s3, or pip install 'coinwatch\[s3\]'"
    ):
        export("s3://bucket/lake")


@pytest.mark.parametrize(
    ("name", "table"), [("prices/transfer/export_prices", "prices"), ("prices/transfer/export_candles", "candles")]
)
def test_export_reads_only_the_partition_of_its_day(filled: sa.Engine, name: str, table: str) -> None:
    parameters: dict[str, object] = {"exchange": "kraken", "start": at(-720), "end": at(720)}
    if table == "candles":
        parameters["resolution"] = "1m"
    query = str(statement(name).compile(filled)).rstrip().removesuffix(";")
    with transaction(filled) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        from psycopg import ClientCursor

        with ClientCursor(driver) as cursor:  # type: ignore[arg-type]
            plan = "\n".join(row[0] for row in cursor.execute(f"EXPLAIN {query}", parameters))
    other = "prices_20260302" if table == "prices" else "candles_1h"
    own = f"prices_{DAY:%Y%m%d}" if table == "prices" else "candles_1m"
    assert own in plan
    assert other not in plan
    assert f"Seq Scan on {own}" not in plan
