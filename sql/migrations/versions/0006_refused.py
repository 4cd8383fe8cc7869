"""A rule knows whether its person paused it, or the refusal of their address."""

from coinwatch.migrations import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_file("0006_refused.sql")
