"""Check the quality of the stored data."""

import typer

from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, show_json
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.pipeline import check_data
from coinwatch.prices.ingest.data_quality import CHECKS
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check the quality of the stored data.

    Reports stale, frozen and outlying prices, missing volumes, and candles that contradict their neighbors. Exits with
    1 if there are any.
    """
    engine, settings, now = get_engine(), get_settings(), utc_now()
    findings = {name: check_data(engine, settings, name, now) for name in CHECKS}
    if as_json:
        show_json(findings)
    else:
        for name, messages in findings.items():
            echo(f"{name}: {len(messages) or 'nothing'} found")
            for message in messages:
                echo(f"  {message}")
    if any(findings.values()):
        raise typer.Exit(1)
