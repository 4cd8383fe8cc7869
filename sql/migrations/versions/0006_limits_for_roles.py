"""What the application and the reader may not do: hold the application's locks, drop prices that are retained."""

from coinwatch.migrations import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_file("0006_limits_for_roles.sql")
