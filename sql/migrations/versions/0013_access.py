"""API keys, sessions of operators, rate limits that several servers share, and the audit log."""

from coinwatch.migrations import run_sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql_file("0013_access.sql")
