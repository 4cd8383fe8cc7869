"""Each day's prices and candles to a lake as a DAG: wiring only, each task is one call of the library.

Schedule: a run per UTC day, its data interval, begun when the day is over. It waits half an hour, without taking a
worker's place, for the quotes of the last minutes. Off until COINWATCH_EXPORT_PATH says where to.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, get_current_context, task

from coinwatch.time_range import floor_to

LATE_QUOTES = timedelta(minutes=30)

DOC = """
### Writes each day as Parquet

Once a day: writes the prices and candles of the UTC day before below `COINWATCH_EXPORT_PATH` (a folder, `s3://…` or
`gs://…`), a file per table, day and exchange, for DuckDB, pandas, BigQuery and their like (`docs/lake.md`). While that
setting is empty, every run is skipped. `coinwatch export` does the same without Airflow.

A day is written again by clearing its run, many days by `airflow backfill create --dag-id export_history --from-date
2026-11-01 --to-date 2026-11-30`: after a backfill or a repair of old days, for example. The same rows give the same
files.

**When a task is red**

- `choose_tables`: the configuration is wrong; the last line of its log says what.
- `wait_for_late_quotes`: it waits until half an hour after the day, no longer; clear it.
- `export_table`: the last line of its log says whether the bucket rejected us (rights, credentials), a library is
  missing, or Postgres went away. Files already written are whole, none is half written; clear the task to go on. Days
  that were never exported are lost to the lake once `maintain_database` drops their prices (90 days); candles stay.
"""


@dag(
    dag_id="export_history",
    dag_display_name="Export the history",
    description="Write the day's prices and candles as Parquet, here or to S3 or Google's storage",
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
        """The end of the data interval; of a run that was started without one, the last midnight."""
        run = get_current_context()["dag_run"]
        return floor_to(run.data_interval_end or run.run_after, timedelta(days=1))

    @task(doc_md="The tables to write; skips the run while COINWATCH_EXPORT_PATH is empty.")
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
        doc_md="Waits until half an hour after the day, for quotes that come late; at once for days long past.",
    )
    def wait_for_late_quotes() -> bool:
        return datetime.now(UTC) >= end_of_day() + LATE_QUOTES

    @task(
        map_index_template="{{ table_name }}",
        doc_md="Writes one table's day, a file per exchange; gives rows and bytes. A day without rows has no file.",
    )
    def export_table(table: str) -> dict[str, int]:
        from coinwatch.database import get_engine
        from coinwatch.prices.transfer.data_export import export_days
        from coinwatch.settings import get_settings

        get_current_context()["table_name"] = table
        day = (end_of_day() - timedelta(days=1)).date()
        where = str(get_settings().export_path)
        result = export_days(get_engine(), where, day, day, datetime.now(UTC), tables=[table])
        return {"files": len(result.files), "rows": result.rows, "bytes": result.size}

    tables = choose_tables()
    tables >> wait_for_late_quotes() >> export_table.expand(table=tables)


export_history()
