"""Signed webhooks of subscribers, and test notifications."""

from coinwatch.migrations import run_sql_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql_file("0018_webhooks.sql")
