"""The name of an index that has only simulated prices."""

from coinwatch.migrations import run_sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_file("0008_demo_prices.sql")
