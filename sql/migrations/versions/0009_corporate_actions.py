"""Redenominations and reused tickers."""

from coinwatch.migrations import run_sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql_file("0009_corporate_actions.sql")
