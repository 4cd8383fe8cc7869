"""The pipeline's cycle as a DAG: wiring only, each task is one call of the library.

Schedule: every 3 minutes, often enough for alerts and rare enough for every exchange's limits;
COINWATCH_COLLECT_SCHEDULE_MINUTES changes it. Heavy imports stand inside the tasks, because Airflow imports
this file again for every task.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import TriggerRule, dag, get_current_context, task

SCHEDULE_MINUTES = float(os.environ.get("COINWATCH_COLLECT_SCHEDULE_MINUTES") or 3)

DOC = f"""
### Collects prices and tells people

Every {SCHEDULE_MINUTES:g} minutes: asks every enabled exchange for its latest prices, loads them into Postgres,
computes the index, pushes gauges to Graphite, judges the subscriptions and sends the mails that are due.

**Look at the data:** [coinwatch](/coinwatch/) in this page's navigation, Grafana's board *coinwatch*, or
`coinwatch status` on the command line.

**Mail:** what the tasks `match_alerts` and `send_emails` return (XCom, and the last lines of their logs) says how many
alerts fired by kind of rule, how many people have to wait for theirs, what was sent, what waits, and:

- `most_common_error` is why mails wait, in the server's words: it is away, rejects our login or sender, or says "later".
  Mend the setting that it names; nothing is lost and no task turns red, the next run tries again.
- `failed_24h` rises: the server rejected mails for good. `coinwatch outbox show --status failed` has its words. Mend
  what they say (a policy, a block list, SPF), then `coinwatch outbox retry --all`.
- `suppressed_addresses` rises: the mail server rejected these addresses for good, nothing is sent there any more. One
  by one they are people who moved. Many at once are the server refusing *us*: mend that, wake them with
  `coinwatch person wake --last 2h`, then `coinwatch outbox retry --all`.
- `held_by_limit` is not 0: COINWATCH_EMAILS_PER_DAY is reached. Mails go on by themselves as the last 24 hours move on;
  raise the limit when your provider allows more. Confirmations go first.
- `held_alerts` counts alerts that wait for the end of quiet hours, for a digest, or because one address had its
  COINWATCH_EMAILS_PER_DAY_PER_ADDRESS. That is as it should be; `coinwatch status` says for whom.

**Rules without price** in `coinwatch status`: nothing came for their pair for a day, so they cannot fire. The exchange
has failed for long or is off (same page), or it no longer trades the pair: tell the owners
(`coinwatch subscriptions`), they hear of it from nobody else.

**When a task is red**

- `choose_exchanges`: Postgres is away or has no tables, or the configuration is wrong. The last line of its log says
  which; `coinwatch migrate` brings the tables.
- `fetch_and_load`: one exchange failed, its name is the map index; the others go on. A pause it asked for passes by
  itself; `coinwatch exchanges disable NAME` leaves it out. `from_the_future` or `too_old` at all of them: this
  machine's clock is wrong.
- `compute_index`, `match_alerts`: Postgres went away, takes no changes or has no room; the last line says which.
  Nothing is lost, the next run catches up.
- `send_emails`: Postgres went away. A mail server that is away makes no task red: mails wait in the outbox, and
  `coinwatch status` shows how many.
- `push_gauges`: Postgres went away. StatsD being away is a warning in its log, and Graphite shows a hole.
- `report_failures`: names the exchanges that failed and makes the run red, so that nobody misses it.

Running it twice, or again for a past moment, changes nothing that is stored.
"""


@dag(
    dag_id="collect_prices",
    dag_display_name="Collect prices",
    description="Fetch prices from all exchanges, load them, alert people",
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
    @task(
        doc_md="Brings the tables in line with the configuration, makes partitions ahead, lists the enabled exchanges."
    )
    def choose_exchanges() -> list[str]:
        from coinwatch import pipeline
        from coinwatch.database import get_engine
        from coinwatch.settings import get_settings

        return pipeline.prepare_cycle(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        map_index_template="{{ exchange_name }}",
        doc_md="Fetches the latest prices of one exchange and loads them. A failure here never stops the others.",
    )
    def fetch_and_load(exchange: str) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.errors import ExchangeDenied, RateLimited
        from coinwatch.prices.ingest.collection import collect_exchange
        from coinwatch.settings import get_settings

        get_current_context()["exchange_name"] = exchange
        try:
            return collect_exchange(get_engine(), get_settings(), exchange).as_dict()
        except (RateLimited, ExchangeDenied) as error:
            raise AirflowFailException(str(error)) from error

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Stores the median of all exchanges' fresh prices as the exchange *index*, and makes the candles of "
        "everything new.",
    )
    def compute_index() -> int:
        from coinwatch.database import get_engine
        from coinwatch.pipeline import compute_index_and_candles
        from coinwatch.settings import get_settings

        return compute_index_and_candles(get_engine(), get_settings(), datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Pushes prices and the cycle's figures to Graphite through StatsD. StatsD being away is a warning only.",
    )
    def push_gauges(collected: list[dict[str, Any]], index_prices: int | None) -> int:
        from coinwatch import pipeline
        from coinwatch.database import get_engine
        from coinwatch.prices.ingest.collection import CollectResult
        from coinwatch.settings import get_settings

        results = [CollectResult.from_dict(result) for result in collected[:] if result]
        return pipeline.push_gauges(get_engine(), get_settings(), results, index_prices or 0, datetime.now(UTC))

    @task(
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Judges every new price by the subscriptions; alerts and the mails that tell them are stored together.",
    )
    def match_alerts() -> dict[str, Any]:
        from coinwatch import pipeline
        from coinwatch.database import get_engine
        from coinwatch.settings import get_settings

        return pipeline.evaluate_and_notify(get_engine(), get_settings(), datetime.now(UTC)).as_dict()

    @task(
        trigger_rule=TriggerRule.ALL_DONE, doc_md="Sends the mails that are due; what the server rejects for now waits."
    )
    def send_emails() -> dict[str, Any]:
        from coinwatch import pipeline
        from coinwatch.database import get_engine
        from coinwatch.settings import get_settings

        return pipeline.deliver_and_report(get_engine(), get_settings()).as_dict()

    @task(
        trigger_rule=TriggerRule.ONE_FAILED,
        retries=0,
        doc_md="Runs only when a task before it failed, and makes the run red with a sentence that names the exchange.",
    )
    def report_failures() -> None:
        from airflow.sdk.exceptions import AirflowFailException

        from coinwatch.database import get_engine
        from coinwatch.status import failing_exchanges

        failing = failing_exchanges(get_engine())
        raise AirflowFailException("; ".join(failing) or "A task failed; its own log says why.")

    collected = fetch_and_load.expand(exchange=choose_exchanges())
    index_prices = compute_index()
    matched = match_alerts()
    collected >> index_prices >> matched
    gauges = push_gauges(collected, index_prices)
    mail = send_emails()
    matched >> mail
    [collected, index_prices, matched, gauges, mail] >> report_failures()


collect_prices()
