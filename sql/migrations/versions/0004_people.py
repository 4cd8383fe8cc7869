"""Mails know their person: what one erases, what one may get in a day, and where else it goes."""

from coinwatch.migrations import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_file("0004_people.sql")
