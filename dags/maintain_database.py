"""Database maintenance as a DAG. Each task is one library call.

Runs once a day at 02:17 UTC, after late quotes of the previous day have arrived and away from the full hour, when other
jobs start. Every collection cycle creates partitions as well; this run covers days when nothing is collected.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import TriggerRule, dag, task

DOC = """
### Maintains the database

Once a day: creates the partitions of `prices` for the next week, brings all candles up to date, drops prices older than
`COINWATCH_PRICE_RETENTION_DAYS` (90 days; candles are kept), merges the records of fetched history, deletes emails
finished more than `COINWATCH_OUTBOX_RETENTION_DAYS` ago, erases addresses that were not confirmed within a week, and
deletes entries of the audit log after `COINWATCH_AUDIT_RETENTION_DAYS`.
Then it deletes Airflow's own task logs (after `COINWATCH_TASK_LOG_RETENTION_DAYS`) and history
(`COINWATCH_DAG_RUN_RETENTION_DAYS`).
`coinwatch maintain` does the same without Airflow; `coinwatch status` shows the size of the tables.

**When a task fails**

- `make_partitions`: Postgres is unreachable or not migrated; `coinwatch migrate` creates missing tables. Partitions
  exist for a week ahead, so nothing is lost before then.
- `refresh_candles`: Postgres is unreachable, or the disk is full. Progress is kept; the next run or cycle continues.
- `drop_old_prices`: the last line of the log names each day that was kept, and why. *In use*: a backup or a long query
  was running; the next run tries again. *Not evaluated yet*: see `match_alerts` in `collect_prices`. *Not in candles*:
  nothing was dropped; see the log of `refresh_candles`.
- `merge_fetches`, `delete_old_emails`, `erase_unconfirmed`, `delete_old_access`: Postgres is unreachable. Nothing is
  lost; the next run catches up.
- `delete_task_logs`: the user who runs Airflow may not delete a file; the log names it.
- `clean_airflow_database`: the log is the output of `airflow db clean`. Nothing is lost; the next run tries again.

Tasks are idempotent and may run concurrently.
"""


@dag(
    dag_id="maintain_database",
    dag_display_name="Maintain database",
    description="Create partitions, update candles, drop old prices and emails",
    doc_md=DOC,
    schedule="17 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["coinwatch", "prices", "maintenance"],
    default_args={
        "owner": "coinwatch",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=1),
    },
)
def maintain_database() -> None:
    @task(doc_md="Creates the daily partitions of prices for the next week; returns how many were missing.")
    def make_partitions() -> int:
        from coinwatch.prices.ingest.partitions import create_upcoming_partitions
        from coinwatch_engine import get_engine

        return create_upcoming_partitions(get_engine(), datetime.now(UTC).date())

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        execution_timeout=timedelta(hours=6),
        doc_md="Updates all stale candles, however many an import left; returns the number of time ranges.",
    )
    def refresh_candles() -> int:
        from coinwatch.prices.candles import refresh
        from coinwatch_engine import get_engine

        return refresh.refresh_candles(get_engine()).ranges

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        execution_timeout=timedelta(hours=3),
        doc_md="Drops days of prices older than COINWATCH_PRICE_RETENTION_DAYS that are in candles and evaluated.",
    )
    def drop_old_prices() -> list[str]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        result = pipeline.drop_old_prices(get_engine(), get_settings(), datetime.now(UTC))
        if result.kept:
            raise AirflowFailException(" ".join(result.sentences))
        return [day.isoformat() for day in result.dropped]

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Merges adjacent records of fetched history; returns how many rows that saved.",
    )
    def merge_fetches() -> int:
        from coinwatch.prices import retention
        from coinwatch_engine import get_engine

        return retention.merge_candle_fetches(get_engine(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Deletes emails finished more than COINWATCH_OUTBOX_RETENTION_DAYS ago; returns how many.",
    )
    def delete_old_emails() -> int:
        from coinwatch.notifications import outbox
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return outbox.delete_old_emails(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Erases addresses that were not confirmed within a week; returns how many.",
    )
    def erase_unconfirmed() -> int:
        from coinwatch.notifications.erasure import erase_unconfirmed
        from coinwatch_engine import get_engine

        return erase_unconfirmed(get_engine(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Deletes old entries of the audit log, expired sessions and rate limits; returns how many rows.",
    )
    def delete_old_access() -> int:
        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return pipeline.delete_old_access(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Deletes Airflow's task logs after COINWATCH_TASK_LOG_RETENTION_DAYS; returns how many.",
    )
    def delete_task_logs() -> int:
        from pathlib import Path

        from airflow.sdk.configuration import conf

        from coinwatch.airflow_maintenance import delete_old_task_logs
        from coinwatch.settings import get_settings

        folder = Path(conf.get("logging", "base_log_folder"))
        return delete_old_task_logs(folder, get_settings().task_log_retention_days, datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Runs `airflow db clean` for what is older than COINWATCH_DAG_RUN_RETENTION_DAYS; returns its output.",
    )
    def clean_airflow_database() -> str:
        import os

        from coinwatch.airflow_maintenance import clean_airflow_database
        from coinwatch.settings import get_settings

        return clean_airflow_database(os.environ, get_settings().dag_run_retention_days, datetime.now(UTC))

    (
        make_partitions()
        >> refresh_candles()
        >> drop_old_prices()
        >> merge_fetches()
        >> delete_old_emails()
        >> erase_unconfirmed()
        >> delete_old_access()
        >> delete_task_logs()
        >> clean_airflow_database()
    )


maintain_database()
