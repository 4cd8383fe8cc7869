"""Import and export prices and candles. Arrow is slow to import, so the commands import it."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from coinwatch.audit import command_line_actor, record_start_and_outcome
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, progress_bar, show_json, show_reasons
from coinwatch.cli.parsing import parse_day
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.formatting import format_count
from coinwatch.prices.candle_validation import EXAMPLES
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.transfer.formats.names import TABLES, Format, Table
from coinwatch.prices.transfer.progress import ImportProgress
from coinwatch.settings import get_settings

if TYPE_CHECKING:
    from coinwatch.prices.transfer.data_import import ImportResult

app = typer.Typer()


@app.command(name="import")
def import_command(
    files: Annotated[
        list[str], typer.Argument(help="Files, or folders of exported Parquet files. Also s3://… and gs://…")
    ],
    exchange: Annotated[str | None, typer.Option(help="Exchange code, if the file does not contain it.")] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Pair, for example BTC/USDT, if the file does not contain it.")
    ] = None,
    format: Annotated[Format, typer.Option(help="File format. auto detects it.")] = "auto",  # noqa: A002
    resolution: Annotated[
        Resolution | None, typer.Option(help="Resolution of the candles, if the file does not contain it.")
    ] = None,
    no_volume: Annotated[
        bool,
        typer.Option(
            "--no-volume", help="Ignore the file's volume, for example because it is not in the base currency."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import candles and prices from files.

    Reads Binance's dumps, CryptoDataDownload's files, Kraken's OHLCVT archive, CSV and exported Parquet. Importing a
    file again changes nothing. Exits with 1 if a file could not be read; the others are imported.
    """
    from coinwatch.prices.transfer import data_import

    options = data_import.ImportOptions(exchange, instrument, format, resolution, volume=not no_volume)
    engine, now = get_engine(), utc_now()
    recording = record_start_and_outcome(
        engine,
        command_line_actor(now),
        "data.import",
        format_count(len(files), "path"),
        exchange=exchange,
        pair=instrument,
    )
    with recording as outcome, progress_bar() as show:

        def report(done: ImportProgress) -> None:
            name = f"{done.number} of {done.files}: {done.contents or done.path}"
            show(f"{name}, {done.rows:,} rows", (done.number - 1 + done.part) / done.files)

        result = data_import.import_files(engine, files, options, now, report)
        stored = sum((file.stored for file in result.files), StoreResult())
        unread = sum(file.problem is not None for file in result.files)
        outcome.update(files=len(result.files), new=stored.inserted, corrected=stored.corrected, unread=unread)
    if as_json:
        show_json(result)
    else:
        _show_import(result)
    problems = [file.problem for file in result.files if file.problem]
    if problems:
        raise CoinwatchError("Some files could not be imported:\n  " + "\n  ".join(problems))


@app.command(name="export")
def export_command(
    destination: Annotated[
        str | None,
        typer.Argument(help="Folder, s3://bucket/folder or gs://bucket/folder. Default: COINWATCH_EXPORT_PATH."),
    ] = None,
    *,
    first: Annotated[str, typer.Option("--from", help="First day (UTC), for example 2026-11-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day (UTC, inclusive). Must be in the past.")],
    what: Annotated[
        list[str] | None, typer.Option(help=f"Table: {', '.join(TABLES)}. Repeatable. Default: all.")
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this exchange (code).")] = None,
    as_json: AsJson = False,
) -> None:
    """Export prices and candles as Parquet.

    Writes one file per table, UTC day and exchange. Exporting a day again writes the same files.
    """
    from coinwatch.prices.transfer import data_export

    location = destination or get_settings().export_path
    if not location:
        raise InvalidRequest("destination", "No destination. Pass DESTINATION or set COINWATCH_EXPORT_PATH.")
    days, tables = (parse_day("from", first), parse_day("to", last)), _tables(what)
    with progress_bar() as show:

        def report(table: Table, day: date, done: int, of_all: int) -> None:
            show(f"{table} of {day}", done / of_all)

        result = data_export.export_days(
            get_engine(), location, *days, utc_now(), tables=tables, exchange=exchange, report=report
        )
    if as_json:
        show_json(result)
    elif result.files:
        echo(f"{format_count(len(result.files), 'file')} written, {result.rows:,} rows, {result.size:,} bytes")
    else:
        echo("No data for these days; no files written.")


def _show_import(result: "ImportResult") -> None:
    for contents in dict.fromkeys(file.contents for file in result.files if file.contents):
        files = [file for file in result.files if file.contents == contents]
        stored = sum((file.stored for file in files), StoreResult())
        rejected = sum((Counter(file.rejected) for file in files), Counter[str]())
        repaired = sum((Counter(file.repaired) for file in files), Counter[str]())
        unusual = sum((Counter(file.unusual) for file in files), Counter[str]())
        echo(
            f"{contents}, {format_count(len(files), 'file')}: {stored.inserted:,} new, {stored.corrected:,} corrected, "
            f"{stored.unchanged:,} unchanged, {rejected.total():,} rejected"
        )
        show_reasons({"rejected": rejected, "repaired": repaired, "kept, but unusual": unusual})
        examples = [f"{file.path.rpartition('/')[2]}, {example}" for file in files for example in file.examples]
        for example in examples[:EXAMPLES]:
            echo(f"  {example}")
    if result.refreshed:
        refreshed = ", ".join(f"{result.refreshed.written[name]:,} of {name}" for name in STORED_RESOLUTIONS)
        echo(f"candles refreshed: {refreshed}")


def _tables(names: list[str] | None) -> list[Table]:
    for name in names or ():
        if name not in TABLES:
            raise InvalidRequest("what", f"--what is {name!r}; it must be one of {', '.join(TABLES)}.")
    return [table for table in TABLES if not names or table in names]
