"""The divisors of the index beyond the retention of prices."""

from coinwatch.migrations import run_sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_file("0011_index_divisors.sql")
