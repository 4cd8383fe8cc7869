"""Every kind of rule: windows, standing conditions that re-arm, snoozing, alerts that came too late to be news."""

from coinwatch.migrations import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_file("0003_rules.sql")
