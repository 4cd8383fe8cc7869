"""Rules for new highs and lows, and ladders: rules that fire again every further so many percent."""

from coinwatch.migrations import run_sql_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql_file("0016_highs_and_ladders.sql")
