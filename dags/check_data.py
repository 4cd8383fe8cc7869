"""Data-quality checks as a DAG. Each task is one library call.

Runs every 15 minutes, so that a wrong price is noticed within five collection cycles. A finding fails its task without
a retry; an unreachable Postgres is retried.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

DOC = """
### Checks the stored prices

Every 15 minutes: runs five independent checks. A failed task is a finding: the last line of its log says which
instrument is affected and how. `coinwatch check` does the same without Airflow. The number of findings per check is in
Graphite as `coinwatch.quality.*.findings`.

**When a task fails**

- `stale`: an instrument or a whole exchange has had no new price for three collection cycles. One instrument: the
  exchange may have delisted it; remove it from `config/coinwatch.toml`. A whole exchange: the message includes its last
  error; `coinwatch exchanges disable NAME` stops fetching from it. All exchanges: `collect_prices` is not running.
  After a start, or when a suspended machine wakes up, the task waits up to two minutes for the first cycle.
- `disagreement`: an exchange is more than 3% away from the median of all exchanges. Compare with its own website. As
  long as it is wrong, `coinwatch exchanges disable NAME` removes it from charts and alerts. The index is a median and
  is barely affected.
- `frozen`: a price has not changed for an hour while others moved. The exchange is repeating an old price, or the pair
  is no longer traded there.
- `volume`: a 24-hour volume that was present within the last day is now zero or missing. The pair is suspended, or the
  exchange changed its API. After a day without volume, this counts as normal.
- `candles`: an hourly candle of the last day contradicts itself or jumps a hundredfold. Compare with the exchange's
  chart. If the stored candle is wrong, `coinwatch backfill --exchange NAME --instrument PAIR --from DAY --again`
  replaces it; if the currency has a new unit or name, the finding ends after a day.

All limits are settings (`COINWATCH_QUALITY_*`). Checks change nothing, and a finding stops nothing else.
"""


@dag(
    dag_id="check_data",
    dag_display_name="Check data",
    description="Fail if prices are stale, frozen, far from other exchanges, or without volume, or jump a hundredfold",
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
        "execution_timeout": timedelta(minutes=5),
    },
)
def check_data() -> None:
    def run(check: str) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        if check == "stale":
            pipeline.wait_for_collection(get_engine(), get_settings())
        findings = pipeline.check_data(get_engine(), get_settings(), check, datetime.now(UTC))
        if findings:
            raise AirflowFailException(" ".join(findings))

    for check, meaning in {
        "stale": "Does every instrument have a recent price?",
        "disagreement": "Is every exchange close to the median?",
        "frozen": "Does every price move when others move?",
        "volume": "Does every instrument still have volume?",
        "candles": "Are the prices of every hour consistent with those before and after?",
    }.items():
        task(run, task_id=check, doc_md=meaning)(check)


check_data()
