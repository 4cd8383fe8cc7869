"""Daily Parquet exports as a DAG. Each task is one library call.

One run per UTC day, started when the day is over. It waits half an hour for late quotes without occupying a worker
slot. Runs are skipped until COINWATCH_EXPORT_PATH is set.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, get_current_context, task

from coinwatch.time_range import floor_to

LATE_QUOTES = timedelta(minutes=30)

DOC = """
### Exports each day as Parquet

Once a day: writes the previous UTC day's prices and candles to `COINWATCH_EXPORT_PATH` (a folder, `s3://…` or
`gs://…`), one file per table, day and exchange, for DuckDB, pandas, BigQuery and similar tools (`docs/data-lake.md`).
Runs are skipped while the setting is empty. `coinwatch export` does the same without Airflow.

To export a day again, after a backfill or gap repair for example, clear its run. For many days, use `airflow backfill
create --dag-id export_history --from-date 2026-11-01 --to-date 2026-11-30`. The same rows produce the same files.

**When a task fails**

- `choose_tables`: the configuration is invalid; the last line of the log says what is wrong.
- `wait_for_late_quotes`: it should end half an hour after the day. Clear it.
- `export_table`: the last line of the log says whether the bucket denied access, a library is missing, or Postgres is
  unreachable. Files are either written completely or not at all; clear the task to continue. Days that were never
  exported cannot be exported after `maintain_database` drops their prices (after 90 days); candles are kept.
"""


@dag(
    dag_id="export_history",
    dag_display_name="Export history",
    description="Write each day's prices and candles as Parquet to a folder, S3 or Google Cloud Storage",
    doc_md=DOC,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2015, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["coinwatch", "prices", "lake"],
    default_args={
        "owner": "coinwatch",
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(hours=3),
    },
)
def export_history() -> None:
    def end_of_day() -> datetime:
        """The end of the data interval; for a run without one, the last midnight (UTC)."""
        run = get_current_context()["dag_run"]
        return floor_to(run.data_interval_end or run.run_after, timedelta(days=1))

    @task(doc_md="Lists the tables to export; skips the run if COINWATCH_EXPORT_PATH is empty.")
    def choose_tables() -> list[str]:
        from airflow.sdk.exceptions import AirflowSkipException

        from coinwatch.prices.transfer.formats.names import TABLES
        from coinwatch.settings import get_settings

        if not get_settings().export_path:
            raise AirflowSkipException(
                "COINWATCH_EXPORT_PATH is not set, so nothing is exported. Set it to a folder, s3://… or gs://…"
            )
        return list(TABLES)

    @task.sensor(
        mode="reschedule",
        poke_interval=600,
        timeout=7200,
        doc_md="Waits for late quotes until half an hour after the day; does not wait for past days.",
    )
    def wait_for_late_quotes() -> bool:
        return datetime.now(UTC) >= end_of_day() + LATE_QUOTES

    @task(
        map_index_template="{{ table_name }}",
        doc_md="Writes one day of a table, one file per exchange that has rows; returns the number of rows and bytes.",
    )
    def export_table(table: str) -> dict[str, int]:
        from coinwatch.prices.transfer.data_export import export_days
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        get_current_context()["table_name"] = table
        day = (end_of_day() - timedelta(days=1)).date()
        location = str(get_settings().export_path)
        result = export_days(get_engine(), location, day, day, datetime.now(UTC), tables=[table])
        return {"files": len(result.files), "rows": result.rows, "bytes": result.size}

    tables = choose_tables()
    tables >> wait_for_late_quotes() >> export_table.expand(table=tables)


export_history()
