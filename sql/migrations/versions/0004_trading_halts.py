"""Instruments that their exchange does not trade at present."""

from coinwatch.migrations import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_file("0004_trading_halts.sql")
