"""Candles, what was asked of the exchanges for them, gaps, and the newest quote of each instrument."""

from coinwatch.migrations import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_file("0002_history.sql")
