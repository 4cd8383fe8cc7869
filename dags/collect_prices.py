"""The price pipeline as a DAG. Each task is one library call; imports are inside the tasks because Airflow imports
this file again for every task.

Runs every 3 minutes by default: often enough for alerts, and within the rate limits of every exchange.
COINWATCH_COLLECT_SCHEDULE_MINUTES changes the interval.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import TriggerRule, dag, get_current_context, task

SCHEDULE_MINUTES = float(os.environ.get("COINWATCH_COLLECT_SCHEDULE_MINUTES") or 3)

DOC = f"""
### Collects prices and sends alerts

Every {SCHEDULE_MINUTES:g} minutes: fetches the latest prices from every enabled exchange, loads them into Postgres,
computes the index, pushes gauges to Graphite, evaluates alert rules and emails subscribers.

The tasks connect to Postgres through the Airflow connection `coinwatch` (Admin > Connections).

**See the data:** [coinwatch](/coinwatch/) in the navigation bar, the Grafana dashboard *coinwatch*, or
`coinwatch status` on the command line.

**Email:** the return values of `match_alerts` and `send_emails` (XCom, and the last lines of their logs) show how many
alerts fired by kind of rule, how many emails were sent, and how many are queued or held. Watch these:

- `most_common_error`: why emails are queued, as reported by the mail server. It is unreachable, rejects our login or
  sender, or asks us to try later. Fix the setting it names. Nothing is lost and no task fails; the next run retries.
- `failed_24h` rises: the mail server permanently rejected emails. `coinwatch outbox show --status failed` lists its
  replies. Fix the cause (policy, block list, SPF), then run `coinwatch outbox retry --all`.
- `suppressed_addresses` rises: the mail server permanently rejected these addresses, so they get no more email. A few
  are normal, because people change addresses. Many at once mean that the server rejects *us*: fix that, lift the
  suppressions with `coinwatch subscriber lift-suppression --last 2h`, then run `coinwatch outbox retry --all`.
- `held_by_limit` is above 0: COINWATCH_EMAILS_PER_DAY is reached. Held emails are sent automatically as the 24-hour
  window moves on, confirmations first. Raise the limit if your provider allows more.
- `held_alerts`: alerts waiting for the end of quiet hours, for a digest, or because their address reached
  COINWATCH_EMAILS_PER_DAY_PER_ADDRESS. This is expected; `coinwatch status` shows whose alerts are held.

**Subscriptions without recent price** in `coinwatch status` have seen no price for a day, so they cannot fire. Either
the exchange is failing or disabled (see the same output), or it no longer trades the pair. Subscribers are not informed
automatically; `coinwatch subscriptions` lists them.

**When a task fails**

- `choose_exchanges`: Postgres is unreachable or not migrated, or the configuration is invalid. The last line of the
  log says which. `coinwatch migrate` creates missing tables.
- `fetch_and_load`: one exchange failed; the map index shows which. The others are not affected. A rate limit expires
  automatically; `coinwatch exchanges disable NAME` stops fetching from the exchange. If all exchanges report
  `from_the_future` or `too_old`, this machine's clock is wrong.
- `compute_index`, `match_alerts`: Postgres is unreachable, read-only or out of disk space; the last line of the log
  says which. Nothing is lost; the next run catches up.
- `send_emails`: Postgres is unreachable. An unreachable mail server does not fail the task: emails stay in the outbox,
  and `coinwatch status` shows how many.
- `push_gauges`: Postgres is unreachable. An unreachable StatsD is only logged as a warning; Graphite shows a gap.
- `report_failures`: fails on purpose and names the failed exchanges, so that the run is marked as failed.

Tasks are idempotent: running them again, also for a past run, leaves the same data.
"""


@dag(
    dag_id="collect_prices",
    dag_display_name="Collect prices",
    description="Fetch prices from all exchanges, load them, evaluate alerts and send emails",
    doc_md=DOC,
    schedule=timedelta(minutes=SCHEDULE_MINUTES),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=max(15.0, 3 * SCHEDULE_MINUTES)),
    tags=["coinwatch", "prices", "alerts"],
    default_args={
        "owner": "coinwatch",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=3),
    },
)
def collect_prices() -> None:
    @task(doc_md="Syncs the catalog with the configuration, creates partitions ahead and lists the enabled exchanges.")
    def choose_exchanges() -> list[str]:
        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return pipeline.prepare_cycle(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Fetches the latest prices of one exchange and loads them. A failure does not affect other exchanges.",
    )
    def fetch_and_load(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.errors import ExchangeDenied, RateLimited
        from coinwatch.prices.ingest.collection import collect_exchange
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        get_current_context()["exchange_name"] = exchange
        try:
            return collect_exchange(get_engine(), get_settings(), exchange).as_dict()
        except (RateLimited, ExchangeDenied) as error:
            raise AirflowFailException(str(error)) from error

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Stores the median of all exchanges' fresh prices as the exchange *index*, and updates the candles.",
    )
    def compute_index() -> int:
        from coinwatch.pipeline import compute_index_and_candles
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return compute_index_and_candles(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Records the cycle, and pushes prices and pipeline health to Graphite through StatsD. An unreachable "
        "StatsD is only a warning.",
    )
    def push_gauges(collected: list[dict[str, Any]], index_prices: int | None) -> int:
        from coinwatch import pipeline
        from coinwatch.prices.ingest.collection import CollectResult
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        results = [CollectResult.from_dict(result) for result in collected[:] if result]
        now, run = datetime.now(UTC), get_current_context()["dag_run"]
        started_at = run.start_date or now
        return pipeline.report_cycle(get_engine(), get_settings(), results, index_prices or 0, started_at, now)

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Evaluates alert rules against all pending quotes; stores alerts and their emails in one transaction.",
    )
    def match_alerts() -> dict[str, Any]:
        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return pipeline.evaluate_and_notify(get_engine(), get_settings(), datetime.now(UTC)).as_dict()

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Sends due emails. Emails that the mail server rejects temporarily stay in the outbox.",
    )
    def send_emails() -> dict[str, Any]:
        from coinwatch import pipeline
        from coinwatch.settings import get_settings
        from coinwatch_engine import get_engine

        return pipeline.deliver_and_report(get_engine(), get_settings()).as_dict()

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only if an earlier task failed: marks the run as failed and names the failing exchanges.",
    )
    def report_failures() -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.status import failing_exchanges
        from coinwatch_engine import get_engine

        failing = failing_exchanges(get_engine())
        raise AirflowFailException("; ".join(failing) or "A task failed; see its log.")

    collected = fetch_and_load.expand(exchange=choose_exchanges())
    index_prices = compute_index()
    matched = match_alerts()
    collected >> index_prices >> matched
    gauges = push_gauges(collected, index_prices)
    emails = send_emails()
    matched >> emails
    [collected, index_prices, matched, gauges, emails] >> report_failures()


collect_prices()
