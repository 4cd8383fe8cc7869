"""Sessions of subscribers, and when they last looked at their alerts."""

from coinwatch.migrations import run_sql_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_file("0014_sessions.sql")
