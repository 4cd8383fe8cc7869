"""Gap detection and repair as a DAG. Each task is one library call.

Runs every hour at minute 7, long before an exchange that keeps minutes for half a day (Kraken) drops them. Gaps in the
last quarter of an hour are left to the next run, because the exchange's own candles may be late.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import TriggerRule, dag, get_current_context, task

DOC = """
### Finds and fills gaps in the stored prices

Every hour: detects gaps since the last run (at least of yesterday and today), checks open gaps again, fills them with
the exchanges' own candles, and pushes the gauges `gaps.*`. Gaps that an exchange can no longer fill are marked with the
reason and not requested again; charts show them as gaps. `coinwatch gaps` lists gaps, `coinwatch gaps find` searches
other days, and `coinwatch gaps retry` requests given-up gaps again.

**When a task fails**

- `find_gaps`: Postgres is unreachable or not migrated, or the configuration is invalid. The last line of the log says
  which.
- `repair`: an exchange did not respond (the map index shows which), or it rejected some pairs, listed in the last line
  of the log. Candles received so far are stored. The gaps stay open, and the next runs retry them for a week. Remove
  pairs that the exchange no longer trades from the configuration.
- `push_gauges`: Postgres is unreachable. An unreachable StatsD is only logged as a warning.
- `report_failures`: fails on purpose and names the exchanges whose gaps stay open, so that the run is marked as failed.

Tasks are idempotent and may be run manually at any time.
"""


@dag(
    dag_id="repair_gaps",
    dag_display_name="Repair gaps",
    description="Find gaps in the prices, fill them with the exchanges' candles, mark those that cannot be filled",
    doc_md=DOC,
    schedule="7 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=55),
    tags=["coinwatch", "prices", "history"],
    default_args={
        "owner": "coinwatch",
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=20),
    },
)
def repair_gaps() -> None:
    @task(doc_md="Detects gaps since the last run and checks open ones again; returns the exchanges to fetch from.")
    def find_gaps() -> list[str]:
        from coinwatch.prices.backfill.gaps import find_new_gaps
        from coinwatch.prices.backfill.repair import exchanges_with_open_gaps
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        now = datetime.now(UTC)
        find_new_gaps(get_engine(), get_settings(), now)
        return exchanges_with_open_gaps(get_engine(), now)

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Fetches the candles of one exchange's open gaps, and marks gaps that it can no longer fill.",
    )
    def repair(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.errors import ExchangeDenied, RateLimited
        from coinwatch.prices.backfill.repair import repair_exchange
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        get_current_context()["exchange_name"] = exchange
        try:
            result = repair_exchange(get_engine(), get_settings(), exchange)
        except (RateLimited, ExchangeDenied) as error:
            raise AirflowFailException(str(error)) from error
        if result.failed:
            raise AirflowFailException("; ".join(f"{pair}: {reason}" for pair, reason in result.failed.items()))
        return result.as_dict()

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Pushes the number of gaps per exchange to Graphite. An unreachable StatsD is only a warning.",
    )
    def push_gauges() -> int:
        from coinwatch.gauges import send_gap_gauges
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return send_gap_gauges(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only if an earlier task failed: marks the run as failed and names the exchanges.",
    )
    def report_failures() -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.prices.backfill.repair import exchanges_with_open_gaps
        from coinwatch_engine import get_engine

        exchanges = ", ".join(exchanges_with_open_gaps(get_engine(), datetime.now(UTC)))
        raise AirflowFailException(f"Gaps are still open on {exchanges or 'no exchange'}. See the failed task's log.")

    found = find_gaps()
    repaired = repair.expand(exchange=found)
    pushed = push_gauges()
    repaired >> pushed
    [found, repaired, pushed] >> report_failures()


repair_gaps()
