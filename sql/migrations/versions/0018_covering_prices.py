"""A day of prices is read from the index alone."""

from coinwatch.migrations import run_sql_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql_file("0018_covering_prices.sql")
