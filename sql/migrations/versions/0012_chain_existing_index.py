"""The next value of an index from before it had divisors is chained to it."""

from coinwatch.migrations import run_sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql_file("0012_chain_existing_index.sql")
