"""Importing candle files: formats are detected, rows are validated, and importing again changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.prices.candles.refresh import count_stale_ranges
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.transfer.data_import import ImportedFile, ImportOptions, ImportResult, import_files
from tests.support.backfill import all_candles
from tests.support.candle_files import (
    TextCandle,
    aged,
    binance_csv,
    cryptodatadownload_csv,
    plain_csv,
    quote_volume,
    some_candles,
    unix,
    zipped,
)
from tests.support.quotes import at

NOW = at(60 * 24 * 30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STORED = """
SELECT e.code || ' ' || i.base || '/' || i.quote AS instrument, c.resolution::text, c.opened_at, c.open, c.high, c.low,
       c.close, c.volume, c.trades, c.samples, c.source::text
FROM candles c JOIN instruments i ON i.id = c.instrument_id JOIN exchanges e ON e.id = i.exchange_id
WHERE e.code <> 'index'
ORDER BY 1, c.resolution, c.opened_at
"""

Import = Callable[..., ImportResult]


@pytest.fixture
def imports(catalog: sa.Engine) -> Import:
    def run(*paths: Path | str, now: datetime = NOW, **options: object) -> ImportResult:
        return import_files(catalog, [str(path) for path in paths], ImportOptions(**options), now)  # type: ignore[arg-type]

    return run


def only(result: ImportResult) -> ImportedFile:
    (file,) = result.files
    return file


def stored(engine: sa.Engine, resolution: str = "1m") -> list[tuple[object, ...]]:
    """The candles of exchanges."""
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(STORED)) if row.resolution == resolution]


def expected(
    candles: list[TextCandle], instrument: str = "binance BTC/USDT", resolution: str = "1m"
) -> list[tuple[object, ...]]:
    return [
        (instrument, resolution, c.opened_at, *map(float, c[1:6]), c.trades, None, "exchange")
        for c in sorted(candles, key=lambda candle: candle.opened_at)
    ]


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return aged(path)


CANDLES = some_candles(5)
KRAKEN = {"exchange": "kraken", "instrument": "BTC/USD"}


def test_binance_dump_needs_no_options(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-1m-2026-03.zip", BTCUSDT_1m_2026_03__csv=binance_csv(CANDLES))
    result = imports(path)
    assert only(result) == ImportedFile(
        str(path), "1m candles of BTC/USDT at binance", 5, StoreResult(5, 0, 0), {}, {}, {}, [], None
    )
    assert stored(catalog) == expected(CANDLES)
    assert [row[6] for row in stored(catalog, "1h")] == [105.0], "the hour is rolled up"


@pytest.mark.parametrize(("per_second", "header"), [(1000, False), (1_000_000, False), (1_000_000, True)])
def test_binance_dump_variants_give_equal_candles(
    catalog: sa.Engine, imports: Import, tmp_path: Path, per_second: int, header: bool
) -> None:
    candles = some_candles(5, start=datetime(2022, 1, 1, tzinfo=UTC))
    text = binance_csv(candles, per_second=per_second, header=header)
    assert only(imports(written(tmp_path / "BTCUSDT-1m-2022-01-01.csv", text))).problem is None
    assert stored(catalog) == expected(candles)


def test_renamed_dump_needs_the_exchange_and_pair(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", binance_csv(CANDLES))
    assert "--exchange CODE --instrument BTC/USDT" in str(only(imports(path)).problem)
    assert only(imports(path, exchange="Binance", instrument="btc-usdt")).stored.inserted == 5


@pytest.mark.parametrize(
    ("name", "symbol", "instrument", "step", "resolution"),
    [
        ("Binance_BTCUSDT_2026_minute.csv", "BTCUSDT", "binance BTC/USDT", timedelta(minutes=1), "1m"),
        ("Binance_ETHUSDT_1h.csv", "ETH/USDT", "binance ETH/USDT", HOUR, "1h"),
        ("Kraken_BTCUSD_d.csv", "BTC/USD", "kraken BTC/USD", DAY, "1d"),
        ("Kraken_XBTUSD_d.csv", "XBT/USD", "kraken BTC/USD", DAY, "1d"),
    ],
)
def test_cryptodatadownload_file_is_imported(
    catalog: sa.Engine,
    imports: Import,
    tmp_path: Path,
    name: str,
    symbol: str,
    instrument: str,
    step: timedelta,
    resolution: str,
) -> None:
    candles = some_candles(4, step, at(0).replace(hour=0))
    base, quote = symbol[:3], symbol[3:].strip("/")
    text = cryptodatadownload_csv(candles, symbol, base, quote)
    assert only(imports(written(tmp_path / name, text))).problem is None
    assert stored(catalog, resolution) == expected(candles, instrument, resolution)


def test_older_cryptodatadownload_files_are_imported(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    candles = some_candles(3, HOUR)
    new = ["Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume"]
    old = ["https://www.CryptoDataDownload.com", "Date,Symbol,Open,High,Low,Close,Volume USDT,Volume BTC"]
    for c in reversed(candles):
        prices = f"{c.open},{c.high},{c.low},{c.close}"
        new.append(f"{unix(c.opened_at)}.0,{c.opened_at:%Y-%m-%d %H:%M:%S},BTCUSDT,{prices},{c.volume}")
        old.append(f"{c.opened_at:%Y-%m-%d %I-%p},BTCUSDT,{prices},{quote_volume(c)},{c.volume}")
    result = imports(written(tmp_path / "Binance_BTCUSDT_1h.csv", "\r\n".join(new)))
    assert only(result).stored == StoreResult(3, 0, 0)
    assert [row[7] for row in stored(catalog, "1h")] == [0.5, 1.5, 2.5]
    again = imports(written(tmp_path / "Binance_BTCUSDT_hour.csv", "\r\n".join(old)))
    assert only(again).stored == StoreResult(0, 0, 3), "both files contain the same candles"


@pytest.mark.parametrize("time", ["timestamp", "time", "Date", "opened_at"])
def test_plain_csv_needs_the_exchange_and_pair_but_no_resolution(
    catalog: sa.Engine, imports: Import, tmp_path: Path, time: str
) -> None:
    path = written(tmp_path / "candles.csv", "\ufeff" + plain_csv(CANDLES, time))
    assert only(imports(path, **KRAKEN)).contents == "1m candles of BTC/USD at kraken"
    assert stored(catalog) == expected(CANDLES, "kraken BTC/USD")


def test_csv_with_semicolons_and_unix_times_is_imported(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    rows = "\n".join(f"{unix(c.opened_at, 1000)};{c.close};{c.low};{c.high};{c.open};{c.volume}" for c in CANDLES)
    path = written(tmp_path / "candles.csv", f"time;close;low;high;open;volume\n\n{rows}\n")
    imports(path, volume=False, **KRAKEN)
    assert stored(catalog) == [(*row[:7], None, None, *row[9:]) for row in expected(CANDLES, "kraken BTC/USD")]


def test_importing_again_changes_nothing_and_corrections_replace_candles(
    catalog: sa.Engine, imports: Import, tmp_path: Path
) -> None:
    path = written(tmp_path / "BTCUSDT-1m-2026-03.csv", binance_csv(CANDLES))
    imports(path)
    first = all_candles(catalog)
    again = imports(path)
    assert only(again).stored == StoreResult(0, 0, 5)
    assert again.refreshed is None
    assert count_stale_ranges(catalog) == 0
    assert all_candles(catalog) == first
    corrected = [CANDLES[0]._replace(close="109.5"), *CANDLES[1:]]
    assert only(imports(written(path, binance_csv(corrected)))).stored == StoreResult(0, 1, 4)
    assert stored(catalog) == expected(corrected)


def test_invalid_rows_are_counted_with_examples_and_do_not_affect_others(
    catalog: sa.Engine, imports: Import, tmp_path: Path
) -> None:
    good, step = some_candles(12), timedelta(seconds=7)
    rows = [
        good[0],
        good[1]._replace(high="1"),
        good[2]._replace(open="nan"),
        good[3]._replace(low="0"),
        good[4]._replace(close=""),
        good[5]._replace(opened_at=good[5].opened_at + step),
        good[6]._replace(opened_at=datetime(2005, 1, 1, tzinfo=UTC)),
        good[7],
        good[11]._replace(opened_at=NOW - timedelta(seconds=59)),
    ]
    text = plain_csv(rows) + "rubbish\nyesterday,1,1,1,1,1,1\n"
    now = NOW.replace(second=0) + timedelta(seconds=0)
    path = written(tmp_path / "c.csv", text.replace(rows[-1].opened_at.isoformat(), now.isoformat()))
    file = only(imports(path, now=now + timedelta(seconds=59), **KRAKEN))
    assert file.stored == StoreResult(2, 0, 0)
    assert file.rejected == {
        "is invalid, the prices contradict each other": 1,
        "is invalid, a price is missing or out of bounds": 3,
        "does not open on a 1m boundary": 1,
        "is before 2009": 1,
        "is not complete yet": 1,
        "does not have as many columns as the header": 1,
        "has no valid time": 1,
    }
    assert file.examples[0] == "line 3 is invalid, the prices contradict each other: 101.1,1,91.5,102"
    assert len(file.examples) == 5
    assert stored(catalog) == expected([good[0], good[7]], "kraken BTC/USD")


@pytest.mark.parametrize(
    ("name", "contents", "sentence"),
    [
        ("empty.csv", b"", "empty.csv is empty."),
        ("blank.csv", b"\n\n\n", "blank.csv is empty."),
        ("BTCUSDT-15m-2022-01.csv", binance_csv(CANDLES), "candles of 15m"),
        ("BTCUSDT-1h-2022-01.csv", binance_csv(CANDLES), "candles of 1h, but its rows are 60 s apart"),
        ("letter.csv", "Dear Sir,\nplease find enclosed", "'Dear Sir,'"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\xff", "not UTF-8 text"),
        ("latin.csv", plain_csv(CANDLES).encode() + "é".encode("latin-1"), "UTF-8 text from line 7"),
        ("excel.csv", plain_csv(CANDLES).encode("utf-16"), "excel.csv is in UTF-16. Save it as UTF-8."),
        ("nul.csv", plain_csv(CANDLES).encode() + b"a\x00b\n", None),
        ("long.csv", b"a" * 70_000, "a line of more than 65,536"),
        ("header.csv", b"time,open,high,low,close\n", "no rows after its header"),
        ("words.csv", b"time,open,high,low,close\nnow,a,b,c,d\n", "line 2 has no valid time: now"),
        ("bad.csv", plain_csv([c._replace(low="-1") for c in CANDLES]), "no valid rows: line 2"),
        ("cut.zip", b"PK\x03\x04\x14\x00\x00\x00", "cut.zip is not a valid ZIP archive"),
        ("cut.parquet", b"PAR1\x15\x04\x15", "is not a valid Parquet file"),
    ],
)
def test_invalid_file_is_reported_and_stores_nothing(
    catalog: sa.Engine, imports: Import, tmp_path: Path, name: str, contents: str | bytes, sentence: str | None
) -> None:
    file = only(imports(written(tmp_path / name, contents), **({} if "USDT" in name else KRAKEN)))
    if sentence is None:
        assert file.rejected == {"does not have as many columns as the header": 1}
        return
    assert sentence in str(file.problem)
    assert stored(catalog) == []


def test_invalid_zip_does_not_stop_the_next_file(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "BTCUSDT-1m-2026-03.zip", a__csv=binance_csv(some_candles(500)))
    cut = written(tmp_path / "BTCUSDT-1m-2026-04.zip", whole.read_bytes()[:-200])
    flipped = bytearray(whole.read_bytes())
    flipped[200] ^= 0xFF
    spoiled = written(tmp_path / "BTCUSDT-1m-2026-05.zip", bytes(flipped))
    crowded = zipped(tmp_path / "BTCUSDT-1m-2026-06.zip", a__csv="1", b__csv="2")
    good = written(tmp_path / "BTCUSDT-1m-2026-07.csv", binance_csv(CANDLES))
    result = imports(cut, spoiled, crowded, good)
    problems = [str(file.problem) for file in result.files]
    assert "2026-04.zip is not a valid ZIP archive" in problems[0]
    assert "2026-05.zip is not a valid ZIP archive" in problems[1]
    assert "it contains a.csv, b.csv" in problems[2]
    assert problems[3] == "None"
    assert stored(catalog) == expected(CANDLES)


def test_unknown_instrument_error_says_how_to_add_it(imports: Import, tmp_path: Path) -> None:
    doge = only(imports(written(tmp_path / "DOGEUSDT-1m-2026-03.csv", binance_csv(CANDLES))))
    assert "DOGEUSDT is not tracked on binance. Tracked: BTC/USDT, ETH/USDT" in str(doge.problem)
    gemini = only(imports(written(tmp_path / "Gemini_BTCUSD_1h.csv", cryptodatadownload_csv(CANDLES))))
    assert "'gemini'" in str(gemini.problem)
    assert "[exchanges.gemini]" in str(gemini.problem)


def test_file_for_a_different_coin_is_an_error(imports: Import, tmp_path: Path) -> None:
    path = written(tmp_path / "ETHUSDT-1m-2026-03.csv", binance_csv(CANDLES))
    assert "ETHUSDT, not BTC/USDT" in str(only(imports(path, instrument="BTC/USDT")).problem)


def test_rows_with_a_different_symbol_are_rejected(catalog: sa.Engine, imports: Import, tmp_path: Path) -> None:
    text = cryptodatadownload_csv(CANDLES).replace("BTCUSDT", "ETHUSDT", 1)
    text = text.replace("BTCUSDT,102", "DOGEUSDT,102")
    file = only(imports(written(tmp_path / "Binance_ETHUSDT_minute.csv", text)))
    assert sum(file.rejected.values()) == 4
    assert file.rejected == {"is for another symbol": 4}


def test_missing_path_is_an_error(imports: Import, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"missing\.csv"):
        imports(tmp_path / "missing.csv")


@hypothesis_settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 10**6), st.integers(0, 50)), min_size=2, max_size=40),
    st.sampled_from(["binance", "cryptodatadownload", "candles"]),
)
def test_import_is_idempotent(
    catalog: sa.Engine, imports: Import, tmp_path: Path, places: list[tuple[int, int, int]], form: str
) -> None:
    candles = [
        TextCandle(
            at(minute),
            f"{price / 7}",
            f"{price / 7 + spread}",
            f"{price / 14}",
            f"{price / 7}",
            f"{spread / 3}",
            spread,
        )
        for minute, price, spread in [(0, 1, 1), (1, 1, 1), *places]
    ]
    with transaction(catalog) as connection:
        connection.execute(sa.text("DELETE FROM candles"))
        connection.execute(sa.text("DELETE FROM stale_candles"))
    text, name = {
        "binance": (binance_csv(candles), "BTCUSDT-1m-2026-03.csv"),
        "cryptodatadownload": (cryptodatadownload_csv(candles), "Binance_BTCUSDT_minute.csv"),
        "candles": (plain_csv(candles), "candles.csv"),
    }[form]
    path = written(tmp_path / name, text)
    options = {"exchange": "binance", "instrument": "BTC/USDT"}
    imports(path, **options)
    once = all_candles(catalog)
    imports(path, **options)
    assert all_candles(catalog) == once
    assert stored(catalog)
