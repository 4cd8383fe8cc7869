"""Gaps as a DAG: wiring only, each task is one call of the library.

Schedule: every hour at 7 minutes past. An exchange that keeps its minutes for half a day (Kraken) is asked long before
that, and a gap of the last quarter of an hour is left for the next run, because the exchange's own candles may be late.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import TriggerRule, dag, get_current_context, task

DOC = """
### Finds holes in the stored prices and fills them

Every hour: looks at yesterday and today, and again at every gap that is open, asks each exchange for its own candles of
the stretches that are missing, and pushes the gauges `gaps.*`. What an exchange no longer has is marked with the reason
and not asked for again; charts show it as a hole. `coinwatch gaps` lists them, `coinwatch gaps find` looks at other
days, `coinwatch gaps retry` has given-up ones asked for once more.

**When a task is red**

- `find_gaps`: Postgres is away or has no tables, or the configuration is wrong. The last line of its log says which.
- `repair`: an exchange did not answer, its name is the map index; or it rejected some pairs, which its last line names.
  What it gave is stored. The gaps stay open, and the next run asks again, for a week. A pair that the exchange no
  longer trades: take it out of the configuration.
- `push_gauges`: Postgres went away. StatsD being away is a warning in its log.
- `report_failures`: names the exchanges whose gaps stay open and makes the run red, so that nobody misses it.

Running it twice, or by hand at any time, changes nothing more.
"""


@dag(
    dag_id="repair_gaps",
    dag_display_name="Repair gaps",
    description="Find stretches without prices, fill them from the exchanges' candles, mark what is lost",
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
    @task(doc_md="Looks for gaps yesterday and today, and again at the open ones; the exchanges that are to be asked.")
    def find_gaps() -> list[str]:
        from coinwatch.database import get_engine
        from coinwatch.prices.backfill import gaps
        from coinwatch.prices.backfill import repair as repairing
        from coinwatch.settings import get_settings

        now = datetime.now(UTC)
        gaps.find_gaps(get_engine(), get_settings(), now.date() - timedelta(days=1), now.date(), now)
        return repairing.exchanges_with_open_gaps(get_engine(), now)

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Asks one exchange for the candles of its open gaps, and marks what it no longer has.",
    )
    def repair(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.errors import ExchangeDenied, RateLimited
        from coinwatch.prices.backfill.repair import repair_exchange
        from coinwatch.settings import get_settings

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
        doc_md="Pushes how many gaps each exchange has to Graphite. StatsD being away is a warning only.",
    )
    def push_gauges() -> int:
        from coinwatch.database import get_engine
        from coinwatch.gauges import send_gap_gauges
        from coinwatch.settings import get_settings

        return send_gap_gauges(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only when a task before it failed, and names the exchanges and makes the run red.",
    )
    def report_failures() -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.prices.backfill.repair import exchanges_with_open_gaps

        waiting = ", ".join(exchanges_with_open_gaps(get_engine(), datetime.now(UTC)))
        raise AirflowFailException(f"Gaps stay open at {waiting or 'no exchange'}; the red task's own log says why.")

    found = find_gaps()
    repaired = repair.expand(exchange=found)
    pushed = push_gauges()
    repaired >> pushed
    [found, repaired, pushed] >> report_failures()


repair_gaps()
