"""The daily volume of a coin without aggregators and simulated exchanges."""

from coinwatch.migrations import run_sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_file("0010_daily_volume.sql")
