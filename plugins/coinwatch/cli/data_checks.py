"""The command that checks the stored data: check."""

import typer

from coinwatch.cli.output import AsJson, show_json
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.pipeline import check_data
from coinwatch.prices.ingest.data_quality import CHECKS
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def check(as_json: AsJson = False) -> None:
    """Look for prices that are stale, frozen or far from the others', and for volume that vanished.

    Exit code 1 when anything was found.
    """
    engine, settings, now = get_engine(), get_settings(), utc_now()
    findings = {name: check_data(engine, settings, name, now) for name in CHECKS}
    if as_json:
        show_json(findings)
    else:
        for name, sentences in findings.items():
            typer.echo(f"{name}: {len(sentences) or 'nothing'} found")
            for sentence in sentences:
                typer.echo(f"  {sentence}")
    if any(findings.values()):
        raise typer.Exit(1)
