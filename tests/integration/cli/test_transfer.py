"""``coinwatch import`` and ``export``, and the commands in docs/data-lake.md."""

import json
import re
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from coinwatch.prices.candle_validation import DUPLICATE
from coinwatch.prices.candles.refresh import refresh_candles
from tests.support.candle_files import binance_csv, some_candles, zipped
from tests.support.command_line import Command
from tests.support.quotes import at, load, quote

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "data-lake.md").read_text()
DAY = at(0).date()


def test_import_and_export(coinwatch: Command, catalog: sa.Engine, tmp_path: Path) -> None:
    march = zipped(tmp_path / "BTCUSDT-1m-2026-03.zip", a__csv=binance_csv(some_candles(90)))
    april = some_candles(3, start=at(60 * 24 * 31))
    april[1] = april[1]._replace(low="1e999")
    zipped(tmp_path / "BTCUSDT-1m-2026-04.zip", a__csv=binance_csv(april))
    done = coinwatch("import", march.name, "BTCUSDT-1m-2026-04.zip")
    assert done.returncode == 0, done.stderr
    assert "92 new, 0 corrected, 0 unchanged, 1 rejected" in done.stdout
    assert re.search(r"BTCUSDT-1m-2026-04\.zip, line 2 .* 101\.1,111\.25,1e999,102", done.stdout)
    assert "92 of 1m, 6 of 1h, 4 of 1d" in done.stdout
    assert json.loads(coinwatch("import", march, "--json").stdout)["files"][0]["stored"]["unchanged"] == 90
    logged = json.loads(coinwatch("audit", "--action", "data.import", "--json").stdout)
    assert [(entry["target"], entry["details"]["state"]) for entry in logged[2:]] == [
        ("2 paths", "finished"),
        ("2 paths", "started"),
    ]
    assert logged[2]["details"] == {"state": "finished", "files": 2, "new": 92, "corrected": 0, "unread": 0}

    out = coinwatch("export", "lake", "--from", DAY, "--to", DAY, "--what", "candles_1m", "--what", "candles_1h")
    assert out.returncode == 0, out.stderr
    assert re.fullmatch(r"4 files written, 184 rows, [\d,]+ bytes\n", out.stdout)
    assert len(list((tmp_path / "lake").rglob("*.parquet"))) == 4
    nothing = coinwatch("export", "--from", "2020-01-01", "--to", "2020-01-02", COINWATCH_EXPORT_PATH="lake")
    assert nothing.stdout == "No data for these days; no files written.\n"


def test_import_reports_duplicate_rows(coinwatch: Command, catalog: sa.Engine, tmp_path: Path) -> None:
    candles = some_candles(3)
    (tmp_path / "BTCUSDT-1m-2026-03.csv").write_text(binance_csv(candles) + binance_csv(candles))
    shown = coinwatch("import", "BTCUSDT-1m-2026-03.csv")
    assert f"3 rows repaired: {DUPLICATE}" in shown.stdout
    (file,) = json.loads(coinwatch("import", "BTCUSDT-1m-2026-03.csv", "--json").stdout)["files"]
    assert (file["rows"], file["repaired"], file["rejected"]) == (6, {DUPLICATE: 3}, {})


def test_errors_print_one_message(coinwatch: Command, catalog: sa.Engine, tmp_path: Path) -> None:
    zipped(tmp_path / "BTCUSDT-1m-2026-03.zip", a__csv=binance_csv(some_candles(2)))
    (tmp_path / "letter.csv").write_text("Dear Sir,")
    half = coinwatch("import", "letter.csv", "BTCUSDT-1m-2026-03.zip")
    assert (half.returncode, half.stdout.count("2 new")) == (1, 1)
    assert "coinwatch: Some files could not be imported:\n  letter.csv is not a known candle file" in half.stderr
    day = ("--from", "2026-01-01", "--to", "2026-01-01")
    for arguments, code, message in (
        (("export", *day), 2, "or set COINWATCH_EXPORT_PATH."),
        (("export", "x", "--from", "1.1.2026", "--to", "2026-01-01"), 2, "--from '1.1.2026' is not a day such as"),
        (("export", "x", *day, "--what", "gold"), 2, "'gold'; it must be one of"),
        (("import", "missing.zip"), 1, "coinwatch: missing.zip"),
    ):
        failed = coinwatch(*arguments)
        assert failed.returncode == code
        assert message in failed.stderr
        assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("language", ["sql", "python"])
def test_commands_in_the_documentation_work(
    coinwatch: Command, catalog: sa.Engine, tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = [quote(100 + minute, minute, volume_24h=1.0) for minute in range(0, 1500, 7)]
    load(catalog, *prices, now=at(3000))
    refresh_candles(catalog)
    lake = tmp_path / "lake"
    assert coinwatch("export", lake, "--from", DAY, "--to", DAY + timedelta(days=1)).returncode == 0
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        text = block.replace("/data/lake", str(lake)).replace("2026-11-01", str(DAY))
        assert str(lake) in text
        if language == "sql":
            rows = duckdb.sql(text).fetchall()
        else:
            found: dict[str, object] = {}
            exec(text, found)
            rows = list(found["closes"]["USD"])  # type: ignore[index]
            assert rows == sorted(rows)
        assert rows
