"""Historical candles as a DAG. Each task is one library call.

Runs every six hours, because Kraken keeps only twelve hours of one-minute candles: a failed run can be repeated before
they are gone. A run fetches exactly its data interval, so `airflow backfill create` fills any time range of the past.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, TriggerRule, dag, get_current_context, task

INTERVAL = timedelta(hours=6)  # for runs triggered manually, which have no data interval
# Exchanges publish the last minutes with a delay; Kraken commits a candle only after the next one has begun.
SETTLING = timedelta(minutes=2)

DOC = """
### Backfills the exchanges' own candles

Every six hours: fetches the last six hours of candles from every enabled exchange that offers them, stores them, and
updates the hourly and daily candles. Exchange candles override those built from our own quotes.

**Backfill a month:** `airflow backfill create --dag-id backfill_candles --from-date 2022-01-01 --to-date 2022-02-01`
(`./local_run.sh airflow backfill …` on a local stack). The *Backfills* tab of this DAG shows the progress. `coinwatch
backfill` does the same without Airflow and with fewer requests. Where an exchange no longer keeps one-minute candles,
hourly and then daily candles are fetched; time ranges an exchange has no data for are remembered and not requested
again (`docs/backfill.md`).

**When a task fails**

- `choose_exchanges`: Postgres is unreachable or not migrated, or the configuration is invalid. The last line of the
  log says which. `coinwatch migrate` creates missing tables.
- `fetch_candles`: one exchange failed; the map index shows which. The others are not affected, and candles fetched
  before the failure are stored. Clear the task when the exchange responds again; Kraken's one-minute candles are gone
  after twelve hours. `coinwatch exchanges disable NAME` skips the exchange.
- `refresh_candles`: Postgres is unreachable. Nothing is lost; the next run of `collect_prices` continues.
- `report_failures`: fails on purpose and names the failed exchanges, so that the run is marked as failed.

Runs are idempotent: repeating them, for any interval and in any order, leaves the same tables.
"""


@dag(
    dag_id="backfill_candles",
    dag_display_name="Backfill candles",
    description="Fetch the exchanges' own candles for an interval and store them",
    doc_md=DOC,
    schedule=CronDataIntervalTimetable("0 */6 * * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    tags=["coinwatch", "prices", "candles"],
    default_args={
        "owner": "coinwatch",
        "retries": 2,
        "retry_delay": timedelta(minutes=3),
        "execution_timeout": timedelta(hours=1),
    },
)
def backfill_candles() -> None:
    @task.sensor(
        poke_interval=30,
        timeout=600,
        mode="reschedule",
        doc_md="Waits until two minutes after the interval, without occupying a worker slot, so that its last candles "
        "are available; then lists the enabled exchanges that offer candles.",
    )
    def choose_exchanges() -> Any:
        from airflow.sdk import PokeReturnValue

        from coinwatch.prices.backfill.runner import exchanges_with_candles
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        run = get_current_context()["dag_run"]
        if datetime.now(UTC) < (run.data_interval_end or run.run_after) + SETTLING:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=exchanges_with_candles(get_engine(), get_settings()))

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Fetches and stores one exchange's candles for the interval. A failure does not affect other exchanges.",
    )
    def fetch_candles(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.errors import ExchangeDenied
        from coinwatch.prices.backfill.runner import backfill_range
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        context = get_current_context()
        context["exchange_name"] = exchange
        run = context["dag_run"]
        end = run.data_interval_end or run.run_after
        start = run.data_interval_start or end - INTERVAL
        try:
            result = backfill_range(get_engine(), get_settings(), exchange, start, end, again=True)
            result.raise_for_failed(exchange)
        except ExchangeDenied as error:
            raise AirflowFailException(str(error)) from error
        return {"exchange": exchange, **result.as_dict()}

    @task(trigger_rule=TriggerRule.ALL_DONE, doc_md="Updates the hourly and daily candles.")
    def refresh_candles() -> int:
        from coinwatch.prices.candles.refresh import refresh_candles
        from coinwatch_engine import get_engine

        return refresh_candles(get_engine()).ranges

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only if an earlier task failed: marks the run as failed and names the failed exchanges.",
    )
    def report_failures(exchanges: list[str] | None, fetched: list[dict[str, Any]]) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        failed = sorted(set(exchanges or []) - {result["exchange"] for result in fetched[:] if result})
        raise AirflowFailException(
            f"Candles are missing for {', '.join(failed)}. See the log of fetch_candles."
            if failed
            else "A task failed; see its log."
        )

    exchanges = choose_exchanges()
    fetched = fetch_candles.expand(exchange=exchanges)
    refreshed = refresh_candles()
    fetched >> refreshed >> report_failures(exchanges, fetched)


backfill_candles()
