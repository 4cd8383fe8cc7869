"""The history of new instruments as a DAG: one library call, which does nothing if no instrument is new.

Runs every ten minutes and right after the first start, so that charts and changes over a day or a week are complete
soon after the first price.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task

DOC = """
### Fetches the history of new instruments

Every ten minutes: fetches the candles that the exchanges offer for instruments that were never backfilled, for example
after the first start or after an exchange was enabled. Minutes of the last 30 days come first, newest first, then hours
and days of the last COINWATCH_HISTORY_DAYS. Requests use at most half of each exchange's rate limit. Usually no
instrument is new, and the run ends at once. `coinwatch status` shows the progress, and `coinwatch backfill-history`
does the same without Airflow (`docs/backfill.md`).

**When a task fails**

- `fetch_history`: an exchange did not respond, or denied the requests; the last line of the log says which and why.
  What was fetched is stored, the other exchanges are complete, and the next run continues. `coinwatch exchanges disable
  NAME` skips the exchange. Or Postgres is unreachable or not migrated.

Runs may be repeated and stopped at any time.
"""


@dag(
    dag_id="backfill_history",
    dag_display_name="Backfill history",
    description="Fetch the past candles of instruments that are new",
    doc_md=DOC,
    schedule="*/10 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=7),
    tags=["coinwatch", "prices", "candles"],
    default_args={
        "owner": "coinwatch",
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=3),
    },
)
def backfill_history() -> None:
    @task(doc_md="Fetches and stores the candles of new instruments, from all exchanges at the same time.")
    def fetch_history() -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.prices.backfill.history import backfill_history
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        result = backfill_history(get_engine(), get_settings())
        if result.errors:
            raise AirflowFailException("; ".join(f"{code}: {error}" for code, error in result.errors.items()))
        return result.as_dict()

    fetch_history()


backfill_history()
