"""How far each instrument has been checked for gaps."""

from coinwatch.migrations import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_file("0007_gap_checks.sql")
