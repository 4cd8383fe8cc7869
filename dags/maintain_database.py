"""The database's upkeep as a DAG: wiring only, each task is one call of the library.

Schedule: once a day at 02:17 UTC, when the day before is over, late quotes have come in and no other round hour's work
is due. Partitions are also made by every cycle; this makes sure of them when nothing is collected.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import TriggerRule, dag, task

DOC = """
### Keeps the database in shape

Once a day: makes the partitions of `prices` for a week ahead, makes all candles that are behind, drops the prices that
are older than `COINWATCH_PRICE_RETENTION_DAYS` (90 days; candles stay), joins the rows that remember which history was
asked for, deletes mails that were done with more than `COINWATCH_OUTBOX_RETENTION_DAYS` ago, erases addresses that nobody
confirmed for a week. `coinwatch maintain` does the same without Airflow, `coinwatch status` shows what the tables take
on disk.

**When a task is red**

- `make_partitions`: Postgres is away or has no tables; `coinwatch migrate` brings them. There are partitions for a week
  ahead, so nothing is lost before that.
- `refresh_candles`: Postgres went away, or the disk is full. What was made is kept, the next run or cycle goes on.
- `drop_old_prices`: its last line names each day that was kept and why. *Others use the table*: a backup or a long
  query was running; the next run tries again. *Alerts have not been matched that far*: look at `match_alerts` in
  `collect_prices`. *In no candle*: nothing was dropped, look at the log of `refresh_candles`.
- `merge_fetches`, `delete_old_emails`, `erase_unconfirmed`: Postgres went away. Nothing is lost, the next run catches
  up.

Running it twice, or two at once, changes nothing more.
"""


@dag(
    dag_id="maintain_database",
    dag_display_name="Maintain the database",
    description="Make partitions ahead, make candles that are behind, drop old prices and mails",
    doc_md=DOC,
    schedule="17 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["coinwatch", "prices", "upkeep"],
    default_args={
        "owner": "coinwatch",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=1),
    },
)
def maintain_database() -> None:
    @task(doc_md="Makes the daily partitions of prices for a week ahead; the number that were missing.")
    def make_partitions() -> int:
        from coinwatch.database import get_engine
        from coinwatch.prices.ingest.partitions import prepare_partitions

        return prepare_partitions(get_engine(), datetime.now(UTC).date())

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        execution_timeout=timedelta(hours=6),
        doc_md="Makes all candles that are behind, however many an import left; the number of stretches.",
    )
    def refresh_candles() -> int:
        from coinwatch.database import get_engine
        from coinwatch.prices.candles import storage as candles

        return candles.refresh_candles(get_engine()).stretches

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        execution_timeout=timedelta(hours=3),
        doc_md="Drops the days of prices that are older than COINWATCH_PRICE_RETENTION_DAYS, in the candles and judged.",
    )
    def drop_old_prices() -> list[str]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.prices import retention
        from coinwatch.settings import get_settings

        result = retention.drop_old_prices(get_engine(), get_settings(), datetime.now(UTC))
        if result.kept:
            raise AirflowFailException(" ".join(result.sentences))
        return [day.isoformat() for day in result.dropped]

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Joins the rows that remember which history was asked for, where they touch; the rows saved.",
    )
    def merge_fetches() -> int:
        from coinwatch.database import get_engine
        from coinwatch.prices import retention

        return retention.merge_fetches(get_engine(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Deletes mails that were done with more than COINWATCH_OUTBOX_RETENTION_DAYS ago; their number.",
    )
    def delete_old_emails() -> int:
        from coinwatch.database import get_engine
        from coinwatch.notifications import outbox
        from coinwatch.settings import get_settings

        return outbox.delete_old_emails(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Erases addresses that nobody confirmed within a week; their number.",
    )
    def erase_unconfirmed() -> int:
        from coinwatch.database import get_engine
        from coinwatch.notifications import subscribers as people

        return people.erase_unconfirmed(get_engine(), datetime.now(UTC))

    (
        make_partitions()
        >> refresh_candles()
        >> drop_old_prices()
        >> merge_fetches()
        >> delete_old_emails()
        >> erase_unconfirmed()
    )


maintain_database()
