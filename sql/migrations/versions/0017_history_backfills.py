"""Instruments whose history is still to be fetched, and the volume of the index's candles."""

from coinwatch.migrations import run_sql_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql_file("0017_history_backfills.sql")
