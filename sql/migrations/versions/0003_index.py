"""An index whose values can be compared although exchanges come and go."""

from coinwatch.migrations import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_file("0003_index.sql")
