"""Commands that take stored prices in and out: import, export. Arrow is heavy, so it is imported only on use."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from coinwatch.cli.output import AsJson, progress_bar, show_json
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.transfer.candle_validation import EXAMPLES
from coinwatch.prices.transfer.candle_validation import Progress as FileProgress
from coinwatch.prices.transfer.formats.names import TABLES, Format, Table
from coinwatch.settings import get_settings

if TYPE_CHECKING:
    from coinwatch.prices.transfer.data_import import ImportResult

app = typer.Typer()


@app.command(name="import")
def import_command(
    files: Annotated[list[str], typer.Argument(help="Files, or folders of our Parquet; also s3://… and gs://…")],
    exchange: Annotated[str | None, typer.Option(help="Exchange code, where the file does not say it.")] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Pair such as BTC/USDT, where the file does not say it.")
    ] = None,
    format: Annotated[Format, typer.Option(help="What kind of file; auto looks at it.")] = "auto",  # noqa: A002
    resolution: Annotated[
        Resolution | None, typer.Option(help="Of the candles, where the file does not say it.")
    ] = None,
    no_volume: Annotated[
        bool, typer.Option("--no-volume", help="The file's volume is not in the base currency: leave it unknown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read candles and prices from files: Binance's dumps, CryptoDataDownload, plain CSV, our own Parquet.

    Importing a file again changes nothing. Exit code 1 when a file could not be read; the others are stored.
    """
    from coinwatch.prices.transfer import data_import as importing

    options = importing.ImportOptions(exchange, instrument, format, resolution, volume=not no_volume)
    with progress_bar() as show:

        def report(done: FileProgress) -> None:
            what = f"{done.number} of {done.files}: {done.contents or done.path}"
            show(f"{what}, {done.rows:,} rows", (done.number - 1 + done.part) / done.files)

        result = importing.import_files(get_engine(), files, options, utc_now(), report)
    if as_json:
        show_json(result)
    else:
        _show_import(result)
    problems = [file.problem for file in result.files if file.problem]
    if problems:
        raise CoinwatchError("Not everything was imported:\n  " + "\n  ".join(problems))


@app.command(name="export")
def export_command(
    destination: Annotated[
        str | None, typer.Argument(help="Folder, s3://bucket/folder or gs://bucket/folder; else COINWATCH_EXPORT_PATH.")
    ] = None,
    *,
    first: Annotated[str, typer.Option("--from", help="First day (UTC), such as 2026-11-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day (UTC), included; one that is over.")],
    what: Annotated[
        list[str] | None, typer.Option(help=f"Which table: {', '.join(TABLES)}; may be repeated. All when left out.")
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this exchange, by code.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write prices and candles as Parquet, a file per table, UTC day and exchange.

    Writing a day again gives the same files.
    """
    from coinwatch.prices.transfer import data_export as exporting

    where = destination or get_settings().export_path
    if not where:
        raise InvalidRequest("destination", "Say where to: coinwatch export DESTINATION, or set COINWATCH_EXPORT_PATH.")
    days, tables = (_day("from", first), _day("to", last)), _tables(what)
    with progress_bar() as show:

        def report(table: Table, day: date, done: int, of_all: int) -> None:
            show(f"{table} of {day}", done / of_all)

        result = exporting.export_days(
            get_engine(), where, *days, utc_now(), tables=tables, exchange=exchange, report=report
        )
    if as_json:
        show_json(result)
    elif result.files:
        typer.echo(f"{len(result.files)} files written, {result.rows:,} rows, {result.size:,} bytes")
    else:
        typer.echo("Nothing is stored for these days; no file was written.")


def _show_import(result: "ImportResult") -> None:
    for contents in dict.fromkeys(file.contents for file in result.files if file.contents):
        files = [file for file in result.files if file.contents == contents]
        stored = sum((file.stored for file in files), StoreResult())
        rejected = sum((Counter(file.rejected) for file in files), Counter[str]())
        typer.echo(
            f"{contents}, {len(files)} files: {stored.inserted:,} new, {stored.corrected:,} corrected, "
            f"{stored.unchanged:,} unchanged, {rejected.total():,} rejected"
        )
        for reason, number in sorted(rejected.items()):
            typer.echo(f"  {number:,} rows: {reason}")
        examples = [f"{file.path.rpartition('/')[2]}, {example}" for file in files for example in file.examples]
        for example in examples[:EXAMPLES]:
            typer.echo(f"  {example}")
    if result.refreshed:
        made = ", ".join(f"{result.refreshed.written[name]:,} of {name}" for name in STORED_RESOLUTIONS)
        typer.echo(f"candles made of them: {made}")


def _tables(names: list[str] | None) -> list[Table]:
    for name in names or ():
        if name not in TABLES:
            raise InvalidRequest("what", f"--what {name!r} is none of {', '.join(TABLES)}.")
    return [table for table in TABLES if not names or table in names]


def _day(name: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {value!r} is not a day such as 2026-11-20.") from None
