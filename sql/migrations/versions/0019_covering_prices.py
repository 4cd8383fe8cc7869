"""A day of prices is read from the index alone."""

from coinwatch.migrations import run_sql_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_sql_file("0019_covering_prices.sql")
