"""Candle files as they are published: mislabeled, duplicated, of another market, or without a header."""

import gzip
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.candle_validation import DUPLICATE, SWAPPED
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.transfer import data_import
from coinwatch.prices.transfer.data_import import MAYBE_INCOMPLETE, ImportedFile, ImportOptions, import_files
from tests.support.candle_files import LONG_AFTER, aged, binance_csv, plain_csv, some_candles, unix
from tests.support.settings import COINS, exchange, make_settings

DATA = Path(__file__).parent / "data"
KRAKEN = {"exchange": "kraken", "instrument": "BTC/USD"}

Import = Callable[..., ImportedFile]
Stored = Callable[..., dict[str, tuple[float, float | None, int | None]]]


@pytest.fixture
def imports(engine: sa.Engine, tmp_path: Path) -> Import:
    coins = {code: {"name": code, "coingecko_id": code.lower()} for code in ("ADA", "ALGO", "DOGE")}
    exchanges = {
        "binance": exchange("Binance", "BTC/USDT", "ADA/BTC", "ALGO/USDT"),
        "kraken": exchange("Kraken", "BTC/USD", "DOGE/USD"),
        "coinbase": exchange("Coinbase", "BTC/USD"),
        "bitstamp": exchange("Bitstamp", "BTC/USD", adapter="ccxt", ccxt_id="bitstamp"),
        "gemini": exchange("Gemini", "BTC/USD", adapter="ccxt", ccxt_id="gemini"),
    }
    sync_catalog(engine, make_settings(coins=COINS | coins, exchanges=exchanges))

    def run(
        file: str, text: str | bytes | None = None, *, modified: datetime = LONG_AFTER, **options: object
    ) -> ImportedFile:
        path = tmp_path / file
        if text is None:
            shutil.copy(DATA / file, path)
        else:
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        aged(path, modified)
        (result,) = import_files(engine, [str(path)], ImportOptions(**options), LONG_AFTER).files  # type: ignore[arg-type]
        return result

    return run


@pytest.fixture
def stored(engine: sa.Engine) -> Stored:
    """Close, volume and trades of the stored candles by time."""

    def read(exchange: str, resolution: str = "1h") -> dict[str, tuple[float, float | None, int | None]]:
        with transaction(engine) as connection:
            rows = connection.execute(
                sa.text(
                    "SELECT c.opened_at, c.close, c.volume, c.trades FROM candles c JOIN instruments i"
                    " ON i.id = c.instrument_id JOIN exchanges e ON e.id = i.exchange_id"
                    " WHERE e.code = :exchange AND resolution = CAST(:resolution AS candle_resolution) ORDER BY 1"
                ),
                {"exchange": exchange, "resolution": resolution},
            )
            return {f"{row.opened_at.astimezone(UTC):%Y-%m-%d %H:%M}": tuple(row)[1:] for row in rows}

    return read


def test_base_volume_is_the_column_that_fits_the_prices(imports: Import, stored: Stored) -> None:
    result = imports("Coinbase_BTCUSD_1h.csv")
    assert (result.problem, result.stored) == (None, StoreResult(3))
    assert [volume for _, volume, _ in stored("coinbase").values()] == [121.68, 370.45, 61.25]
    assert stored("coinbase")["2019-10-17 09:00"] == (8035.88, 61.25, None)


def test_swapped_volumes_are_repaired_row_by_row_and_counted(imports: Import, stored: Stored) -> None:
    result = imports("Bitstamp_BTCUSD_1h.csv")
    assert result.repaired == {SWAPPED: 4}
    assert result.rejected == {}
    volumes = {time: volume for time, (_, volume, _) in stored("bitstamp").items()}
    assert volumes["2020-08-31 16:00"] == 140.6
    assert volumes["2020-08-31 14:00"] == 789.06
    assert volumes["2022-01-06 00:00"] == 51.90258113


@pytest.mark.parametrize("header", ["volume,quote_volume", "base_volume,turnover", "volumefrom,volumeto"])
def test_swapped_volumes_of_plain_csv_are_repaired(imports: Import, stored: Stored, header: str) -> None:
    text = f"time,open,high,low,close,{header}\n"
    rows = "2022-01-01 00:00,100,110,90,105,2,210\n2022-01-01 01:00,105,110,90,105,315.5,3\n"
    result = imports("mine.csv", text + rows, **KRAKEN)
    assert result.repaired == {SWAPPED: 1}
    assert [volume for _, volume, _ in stored("kraken").values()] == [2, 3]


def test_file_whose_volumes_do_not_fit_its_prices_is_rejected(imports: Import, stored: Stored) -> None:
    text = (DATA / "Coinbase_BTCUSD_1h.csv").read_text().replace(",volume_btc,volume", ",volume_btc,volume_usd")
    for volume in ("61.25", "370.45", "121.68"):
        text = text.replace(f",{volume},", ",7.5,")
    assert "neither is the base volume" in str(imports("Coinbase_BTCUSD_1h.csv", text).problem)
    assert stored("coinbase") == {}
    assert imports("Coinbase_BTCUSD_1h.csv", text, volume=False).stored == StoreResult(3)
    assert [volume for _, volume, _ in stored("coinbase").values()] == [None, None, None]


def test_more_complete_row_of_duplicate_hours_is_kept(imports: Import, stored: Stored) -> None:
    result = imports("Binance_BTCUSDT_1h.csv")
    assert result.stored == StoreResult(5)
    assert result.repaired == {DUPLICATE: 2}
    assert result.rows == 7
    assert stored("binance")["2020-11-20 07:00"] == (18212.0, 6097.86638, 93118)
    assert stored("binance")["2020-11-20 06:00"] == (18164.8, 2523.079494, 51191)


@pytest.mark.parametrize("newest_first", [False, True])
def test_newer_row_of_equally_complete_duplicates_is_kept(imports: Import, stored: Stored, newest_first: bool) -> None:
    rows = [f"2022-01-01 0{hour}:00,100,110,90,{close},1" for hour, close in ((0, 101), (1, 102), (1, 103), (2, 104))]
    text = "\n".join(["time,open,high,low,close,volume", *(reversed(rows) if newest_first else rows)])
    assert imports("mine.csv", text, **KRAKEN).repaired == {DUPLICATE: 1}
    assert [close for close, _, _ in stored("kraken").values()] == [101, 103, 104]


def test_futures_dump_is_rejected_with_the_reason(imports: Import, stored: Stored) -> None:
    result = imports("ALGOUSDT-1m-2025-02.csv")
    assert "Binance's futures" in str(result.problem)
    assert "milliseconds" in str(result.problem)
    assert "data/spot" in str(result.problem)
    assert stored("binance", "1m") == {}


@pytest.mark.parametrize("name", ["renamed.csv", "ALGOUSDT-1m-2025-02.csv"])
def test_futures_dump_is_rejected_under_any_name_and_without_its_header(
    imports: Import, stored: Stored, name: str
) -> None:
    text = (DATA / "ALGOUSDT-1m-2025-02.csv").read_text()
    text = text if name == "renamed.csv" else text.partition("\n")[2]
    given = {"exchange": "binance", "instrument": "ALGO/USDT", "resolution": "1m"}
    assert "Binance's futures" in str(imports(name, text, **given).problem)
    assert stored("binance", "1m") == {}


def test_futures_dump_from_before_2025_is_recognized_by_its_folder(
    imports: Import, stored: Stored, tmp_path: Path
) -> None:
    folder = "data/futures/um/monthly/klines/ALGOUSDT/1m"
    (tmp_path / folder).mkdir(parents=True)
    text = (DATA / "ALGOUSDT-1m-2025-02.csv").read_text().partition("\n")[2].replace("17383", "16409")
    assert "data/futures" in str(imports(f"{folder}/ALGOUSDT-1m-2021-12.csv", text).problem)
    assert stored("binance", "1m") == {}


@pytest.mark.parametrize("name", ["gemini_BTCUSD_1hr.csv", "gemini_BTCUSD_2019_1min.csv", "Gemini_BTCUSD_hour.csv"])
def test_resolution_is_that_of_the_rows_whatever_the_file_is_called(imports: Import, stored: Stored, name: str) -> None:
    result = imports(name, (DATA / "gemini_BTCUSD_1hr.csv").read_text())
    assert (result.problem, result.stored) == (None, StoreResult(4))
    assert result.contents.startswith("1h candles of BTC/USD at gemini")
    assert ("named 1m" in result.contents) == ("1min" in name)
    assert stored("gemini")["2020-12-30 00:00"] == (27524.93, 21.9246071316, None)


@pytest.mark.parametrize("options", [{}, {"exchange": "binance", "instrument": "ADA/BTC"}])
def test_oldest_files_without_symbol_and_volume_are_imported(
    imports: Import, stored: Stored, options: dict[str, str]
) -> None:
    assert imports("Binance_ADABTC_1h.csv", **options).stored == StoreResult(5)
    assert stored("binance")["2019-12-02 00:00"] == (5.33e-6, None, None)
    assert stored("binance")["2019-12-01 23:00"] == (5.35e-6, None, None)


@pytest.mark.parametrize(
    "columns", ["VolumeFrom,VolumeTo", "Volume From,Volume To", "volume (BTC),volume (USDT)", "Volume BTC,x"]
)
def test_volume_columns_are_found_in_any_spelling(imports: Import, stored: Stored, columns: str) -> None:
    text = (
        f"Unix,Date,Symbol,Open,High,Low,Close,{columns}\n1577836800,2020-01-01,BTCUSDT,7200,7300,7100,7250,2,14400\n"
    )
    imports("Binance_BTCUSDT_1h.csv", text)
    assert [volume for _, volume, _ in stored("binance").values()] == [2]


def test_newest_row_is_stored_only_if_it_ended_before_the_file_was_written(imports: Import, stored: Stored) -> None:
    result = imports("gemini_BTCUSD_1hr.csv", modified=datetime(2020, 12, 30, 0, 59, tzinfo=UTC))
    assert result.rejected == {"is not complete: it ended after the file was written, 2020-12-30 00:59:00 UTC": 1}
    assert max(stored("gemini")) == "2020-12-29 23:00"
    imports("gemini_BTCUSD_1hr.csv", modified=datetime(2020, 12, 30, 1, 0, tzinfo=UTC))
    assert max(stored("gemini")) == "2020-12-30 00:00"


# Rows of Kraken's archive.
OHLCVT = "1381096800,122.0,123.7,122.0,123.61,0.5,3\n1381100400,123.9,124.19,123.9,124.19,0.1,1\n"


def test_ohlcvt_file_of_kraken_needs_no_options(imports: Import, stored: Stored) -> None:
    result = imports("XBTUSD_60.csv", OHLCVT)
    assert (result.problem, result.contents) == (None, "1h candles of BTC/USD at kraken")
    assert stored("kraken") == {"2013-10-06 22:00": (123.61, 0.5, 3), "2013-10-06 23:00": (124.19, 0.1, 1)}
    assert "Import a finer file" in str(imports("XBTUSD_240.csv", OHLCVT).problem)


def test_archive_of_kraken_is_imported_without_unpacking(
    imports: Import, engine: sa.Engine, stored: Stored, tmp_path: Path
) -> None:
    imports("XBTUSD_60.csv", OHLCVT)
    path = tmp_path / "Kraken_OHLCVT.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("XBTUSD_60.csv", "XBTUSD_15.csv", "XDGUSD_1440.csv", "NEWUSD_60.csv"):
            archive.writestr(name, OHLCVT if name != "XDGUSD_1440.csv" else "1387065600,0.3,0.4,0.2,0.35,9,2\n")
        archive.writestr("__MACOSX/._XBTUSD_60.csv", "\x00\x05")
    files = import_files(engine, [str(aged(path))], ImportOptions(), LONG_AFTER).files
    assert [(file.contents, file.stored) for file in files] == [
        ("1h candles of BTC/USD at kraken", StoreResult(0, 0, 2)),
        ("1d candles of DOGE/USD at kraken", StoreResult(1)),
    ]
    assert stored("kraken", "1d")["2013-12-15 00:00"] == (0.35, 9, 2)


FIVE = some_candles(5)
PLAIN = plain_csv(FIVE)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in PLAIN.splitlines()),
        PLAIN.replace("\n", ",\n").replace("trades,", "trades"),
        PLAIN + "\n\n,,,,,,\n",
        PLAIN + PLAIN,
        "# source\n" + PLAIN.replace("timestamp", "Date (UTC)"),
        PLAIN.replace("+00:00", " UTC"),
        plain_csv([FIVE[place] for place in (3, 0, 4, 2, 1)]),
    ],
    ids=[
        "CRLF",
        "BOM",
        "semicolons",
        "bars",
        "decimal commas",
        "quoted",
        "delimiter at the end",
        "empty rows",
        "concatenated",
        "other names",
        "named zone",
        "out of order",
    ],
)
def test_spellings_of_csv_give_equal_candles(imports: Import, stored: Stored, text: str) -> None:
    result = imports("mine.csv", text, **KRAKEN)
    assert (result.problem, result.rejected) == (None, {})
    assert list(stored("kraken", "1m").values()) == [(float(c.close), float(c.volume), c.trades) for c in FIVE]


def test_thousands_are_read_and_ambiguous_numbers_are_rejected(imports: Import, stored: Stored) -> None:
    rows = ['1577836800,"7,200.50","7,300.00","7,100.25","7,250.75","1,234.5"', '1577840400,"7,200",7300,7100,7250,1']
    result = imports("mine.csv", "\n".join(["time,open,high,low,close,volume", *rows]), **KRAKEN)
    assert stored("kraken") == {"2020-01-01 00:00": (7250.75, 1234.5, None)}
    assert result.rejected == {"is invalid, a price is missing or out of bounds": 1}


def test_gzip_is_read_and_a_truncated_one_stores_nothing(imports: Import, stored: Stored) -> None:
    packed = gzip.compress(binance_csv(some_candles(500)).encode())
    assert "damaged or incomplete" in str(imports("BTCUSDT-1m-2026-03.csv.gz", packed[:-20]).problem)
    assert stored("binance", "1m") == {}
    assert imports("BTCUSDT-1m-2026-03.csv.gz", packed).stored == StoreResult(500)


def test_times_that_are_not_utc_are_an_error(imports: Import) -> None:
    lines = ["Timestamps are EST timezone", "date,symbol,open,high,low,close", "2020-01-01 09-AM,BTCUSD,1,1,1,1"]
    text = "\n".join(lines)
    assert "times are in EST" in str(imports("Gemini_BTCUSD_1h.csv", text).problem)


def test_price_jump_of_one_row_is_rejected_with_its_line(imports: Import, stored: Stored) -> None:
    rows = [c._replace(open="1e6", high="1e6", low="1e6", close="1e6") if n == 2 else c for n, c in enumerate(FIVE)]
    result = imports("mine.csv", plain_csv(rows), **KRAKEN)
    assert result.rejected == {"is a 100-fold price jump from its neighbors": 1}
    assert result.examples[0].startswith("line 4 is a 100-fold price jump")
    assert len(stored("kraken", "1m")) == 4


def test_worse_file_does_not_replace_better_candles(imports: Import, stored: Stored) -> None:
    imports("Binance_BTCUSDT_1h.csv")
    before = stored("binance")
    text = "\n".join(line for line in (DATA / "Binance_BTCUSDT_1h.csv").read_text().splitlines() if ":00," not in line)
    assert imports("Binance_BTCUSDT_1h.csv", text).stored == StoreResult(0, 0, 2)
    assert stored("binance") == before


def test_checksum_files_are_skipped(engine: sa.Engine, imports: Import, tmp_path: Path) -> None:
    imports("BTCUSDT-1m-2026-03.csv", binance_csv(FIVE))
    (tmp_path / "BTCUSDT-1m-2026-03.zip.CHECKSUM").write_text("ab12  BTCUSDT-1m-2026-03.zip\n")
    paths = sorted(str(path) for path in tmp_path.iterdir())
    assert [file.problem for file in import_files(engine, paths, ImportOptions(), LONG_AFTER).files] == [None]


@pytest.mark.parametrize("modified", [datetime(1980, 1, 1, tzinfo=UTC), datetime(2020, 12, 29, 22, 30, tzinfo=UTC)])
def test_rows_after_the_file_was_written_mean_that_its_time_is_wrong(
    imports: Import, stored: Stored, modified: datetime
) -> None:
    result = imports("gemini_BTCUSD_1hr.csv", modified=modified)
    assert result.rejected == {MAYBE_INCOMPLETE: 1}
    assert result.rows == 4
    assert max(stored("gemini")) == "2020-12-29 23:00"


@pytest.mark.parametrize("newest_first", [False, True])
def test_newest_row_is_rejected_if_the_storage_has_no_times(
    engine: sa.Engine, imports: Import, stored: Stored, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(data_import, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(data_import, "modified_at", lambda system, path: None)
    candles = some_candles(8)
    result = imports("mine.csv", plain_csv(candles[::-1] if newest_first else candles), **KRAKEN)
    assert result.rejected == {MAYBE_INCOMPLETE: 1}
    assert result.stored == StoreResult(7)
    assert [close for close, _, _ in stored("kraken", "1m").values()] == [float(c.close) for c in candles[:7]]


@pytest.mark.parametrize("columns", [6, 7])
def test_csv_without_header_needs_the_exchange_and_pair(imports: Import, stored: Stored, columns: int) -> None:
    rows = [f"{unix(c.opened_at, 1000)},{c.open},{c.high},{c.low},{c.close},{c.volume},{c.trades}" for c in FIVE]
    text = "\n".join(",".join(row.split(",")[:columns]) for row in rows)
    assert "--exchange CODE --instrument" in str(imports("btc.csv", text).problem)
    assert imports("btc.csv", text, **KRAKEN).stored == StoreResult(5)
    assert stored("kraken", "1m")["2026-03-01 12:02"] == (103, 2.5, 2 if columns == 7 else None)


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("Gmt time,Open,High,Low,Close,Volume", "01.02.2022 00:00:00.000,", "01.02.2022 01:00:00.000,"),
        ("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "2022.02.01,00:00:00,", "2022.02.01,1:00:00,"),
        ("sep=,\ntime,open,high,low,close,volume", "2022-02-01T00:00Z,", "2022-02-01T01:00Z,"),
        (
            "time_period_start,price_open,price_high,price_low,price_close,volume_traded",
            "2022-02-01T00:00:00.0000000Z,",
            "2022-02-01T01:00:00.0000000Z,",
        ),
        ("unix,date,open,high,low,close,vol", "1.64367E+12,2022-02-01 00:00,", "1.64368E+12,2022-02-01 01:00,"),
    ],
    ids=["days first", "date and time", "separator line", "prefixed names", "rounded unix time"],
)
def test_headers_and_times_of_other_providers_are_read(
    imports: Import, stored: Stored, header: str, first: str, second: str
) -> None:
    result = imports("mine.csv", f"{header}\n{first}9,9,9,9,1\n{second}9,9,9,9,1\n", **KRAKEN)
    assert (result.problem, result.rejected) == (None, {})
    assert stored("kraken") == {"2022-02-01 00:00": (9, 1, None), "2022-02-01 01:00": (9, 1, None)}


def test_thin_market_whose_minutes_are_often_an_hour_apart_is_imported(imports: Import) -> None:
    candles = [candle for place, candle in enumerate(some_candles(400)) if place in {0, 1, 61, 121, 181, 300, 360}]
    assert imports("BTCUSDT-1m-2026-03.csv", binance_csv(candles)).stored == StoreResult(7)


def test_month_in_a_file_name_is_not_a_minute(imports: Import) -> None:
    for name in ("BTCUSDT-1mo-2022-01.csv", "BTCUSDT-1M-2022-01.csv", "Binance_BTCUSDT_1M.csv"):
        text = binance_csv(FIVE) if "-" in name else plain_csv(FIVE, "date")
        assert "candles of 1m, 1h and 1d" in str(imports(name, text).problem)
