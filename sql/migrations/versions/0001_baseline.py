"""The schema of the first release."""

from coinwatch.migrations import run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_file("0001_baseline.sql")
