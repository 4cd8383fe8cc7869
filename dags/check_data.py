"""The checks of the stored data as a DAG: wiring only, each task is one call of the library.

Schedule: every 15 minutes, five cycles of collecting: often enough that a price that is wrong is not shown for long.
A finding fails its task at once, without a retry; Postgres being away is retried.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

DOC = """
### Checks the stored prices

Every 15 minutes, four checks side by side. A red task is a finding: the last line of its log says in a sentence what is
wrong with which instrument. `coinwatch check` does the same without Airflow; the number of findings of each check is in
Graphite as `coinwatch.quality.*.findings`.

**When a task is red**

- `stale`: an instrument, or a whole exchange, has brought no new price for three of its cycles. One instrument: the
  exchange may have delisted it, take it out of `config/coinwatch.toml`. A whole exchange: the sentence has its last
  error; `coinwatch exchanges disable NAME` leaves it out. Every exchange: `collect_prices` does not run.
- `disagreement`: an exchange is more than 3 % from the median of all. Compare with its own page; while it is wrong,
  `coinwatch exchanges disable NAME` keeps it out of charts and subscriptions. The index is a median and hardly moved.
- `frozen`: a price has stood still for an hour while others moved. The exchange repeats an old price, or nobody trades
  that pair there any more.
- `volume`: a 24 h volume is zero or missing that was there within the last day. The pair is suspended, or the exchange
  changed its answers. After a day without volume it counts as normal.

All limits are settings (`COINWATCH_QUALITY_*`). Nothing is changed by a check, and a finding stops nothing else.
"""


@dag(
    dag_id="check_data",
    dag_display_name="Check the data",
    description="Fail visibly when prices are stale, frozen, far from the others' or without volume",
    doc_md=DOC,
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=15),
    tags=["coinwatch", "prices", "quality"],
    default_args={
        "owner": "coinwatch",
        "retries": 1,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=3),
    },
)
def check_data() -> None:
    def run(check: str) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch import pipeline
        from coinwatch.database import get_engine
        from coinwatch.settings import get_settings

        findings = pipeline.check_data(get_engine(), get_settings(), check, datetime.now(UTC))
        if findings:
            raise AirflowFailException(" ".join(findings))

    for check, meaning in {
        "stale": "Does every watched instrument have a new price?",
        "disagreement": "Is every exchange close to the median of all?",
        "frozen": "Does every price move when the others do?",
        "volume": "Does every instrument still have volume?",
    }.items():
        task(run, task_id=check, doc_md=meaning)(check)


check_data()
