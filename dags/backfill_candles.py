"""Candles of the past as a DAG: wiring only, each task is one call of the library.

Schedule: every six hours, because Kraken keeps twelve hours of minutes: a run that fails can still be repeated before
they are gone. A run fetches exactly its data interval, so `airflow backfill create` fills any stretch of the past.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, TriggerRule, dag, get_current_context, task

INTERVAL = timedelta(hours=6)  # of a run that was started by hand without a date
# An exchange shows the last minutes a little late; Kraken only after the next one has begun.
SETTLING = timedelta(minutes=2)

DOC = """
### Fetches the exchanges' own candles

Every six hours: asks every enabled exchange that has candles for those of the last six hours, stores them, and makes
the hours and days over them. The exchange's candles replace those made of our own quotes.

**A month of the past:** `airflow backfill create --dag-id backfill_candles --from-date 2022-01-01 --to-date 2022-02-01`
(`./local_run.sh airflow backfill …` on a local stack); the page *Backfills* of this DAG shows its progress, `coinwatch
backfill` does the same without Airflow and in fewer calls. Where an exchange no longer keeps minutes, hours are
fetched, then days; what it has nothing of is remembered and not asked for again (`docs/backfill.md`).

**When a task is red**

- `choose_exchanges`: Postgres is away or has no tables, or the configuration is wrong. The last line of its log says
  which; `coinwatch migrate` brings the tables.
- `fetch_candles`: one exchange failed, its name is the map index; the others go on. What came before is stored. Clear
  the task when the exchange answers again; Kraken's minutes are gone after twelve hours. `coinwatch exchanges disable
  NAME` leaves the exchange out.
- `refresh_candles`: Postgres went away. Nothing is lost, the next cycle of `collect_prices` goes on.
- `report_failures`: names the exchanges that failed and makes the run red, so that nobody misses it.

Running it again, for any interval and in any order, leaves the same tables.
"""


@dag(
    dag_id="backfill_candles",
    dag_display_name="Backfill candles",
    description="Fetch the exchanges' own candles of an interval and store them",
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
        doc_md="Waits two minutes after the interval's end, without taking a worker's place, until its last candles "
        "can be had; then lists the enabled exchanges that have candles.",
    )
    def choose_exchanges() -> Any:
        from airflow.sdk import PokeReturnValue

        from coinwatch.database import get_engine
        from coinwatch.prices.backfill.backfill import exchanges_with_candles
        from coinwatch.settings import get_settings

        run = get_current_context()["dag_run"]
        if datetime.now(UTC) < (run.data_interval_end or run.run_after) + SETTLING:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=exchanges_with_candles(get_engine(), get_settings()))

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Fetches and stores one exchange's candles of the interval. A failure here never stops the others.",
    )
    def fetch_candles(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.errors import ExchangeDenied
        from coinwatch.prices.backfill.backfill import backfill_range
        from coinwatch.settings import get_settings

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

    @task(trigger_rule=TriggerRule.ALL_DONE, doc_md="Makes the hours and days over everything new.")
    def refresh_candles() -> int:
        from coinwatch.database import get_engine
        from coinwatch.prices.candles.storage import refresh_candles

        return refresh_candles(get_engine()).stretches

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only when a task before it failed, and makes the run red with a sentence that names the exchange.",
    )
    def report_failures(exchanges: list[str] | None, fetched: list[dict[str, Any]]) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        failed = sorted(set(exchanges or []) - {result["exchange"] for result in fetched[:] if result})
        raise AirflowFailException(
            f"Candles of {', '.join(failed)} are missing; the log of fetch_candles says why."
            if failed
            else "A task failed; its own log says why."
        )

    exchanges = choose_exchanges()
    fetched = fetch_candles.expand(exchange=exchanges)
    refreshed = refresh_candles()
    fetched >> refreshed >> report_failures(exchanges, fetched)


backfill_candles()
