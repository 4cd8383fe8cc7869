"""The lower bound: a DAG of the same shape as collect_prices whose tasks do nothing."""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import TriggerRule, dag, task

EXCHANGES = ["binance", "coinbase", "coingecko", "coinnews", "kraken"]


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def empty_cycle() -> None:
    @task
    def choose_exchanges() -> list[str]:
        return EXCHANGES

    @task
    def fetch_and_load(exchange: str) -> dict[str, Any]:
        return {"exchange": exchange}

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def compute_index() -> int:
        return 0

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def push_gauges(collected: list[dict[str, Any]], index_prices: int | None) -> int:
        return len(collected[:]) + (index_prices or 0)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def match_alerts() -> int:
        return 0

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def send_emails() -> int:
        return 0

    @task(trigger_rule=TriggerRule.ONE_FAILED)
    def report_failures() -> None:
        return None

    collected = fetch_and_load.expand(exchange=choose_exchanges())
    index_prices = compute_index()
    matched = match_alerts()
    collected >> index_prices >> matched
    gauges = push_gauges(collected, index_prices)
    emails = send_emails()
    matched >> emails
    [collected, index_prices, matched, gauges, emails] >> report_failures()


empty_cycle()
