"""The dashboard "coinwatch: prices and pipeline", from top to bottom."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DynamicConfigValue,
    Threshold,
    VariableOption,
    VariableRefresh,
)

from grafana.panels import (
    DIGITS,
    NUMBER,
    POSTGRES,
    about,
    bars,
    chart,
    dots,
    graphite,
    number,
    rows,
    sql,
    statement,
    steps,
)

GAUGE = "stats.gauges.coinwatch"
AIRFLOW_GAUGE, AIRFLOW_TIMER, AIRFLOW_COUNT = "stats.gauges.airflow", "stats.timers.airflow", "stats_counts.airflow"
DAG = "collect_prices"

# Grafana expands no environment variables in dashboards; copy_dashboards.py writes copies with other addresses.
AIRFLOW_URL = "http://localhost:8080"
WEB_URL = "http://localhost:18000"


def make_dashboard() -> build.Dashboard:
    """The whole dashboard; generate.py validates the texts and assigns panel ids."""
    dashboard = (
        build.Dashboard("coinwatch: prices and pipeline")
        .uid("coinwatch")
        .description("Prices from Postgres; health of the pipeline and Airflow from Graphite.")
        .tags(["coinwatch"])
        .timezone("browser")
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_link("Airflow: collect_prices", "${airflow_url}/dags/" + DAG, "external link"))
        .link(_link("coinwatch: prices and alerts", "${web_url}/", "external link"))
    )
    for variable in _variables():
        dashboard = dashboard.with_variable(variable)
    for add in (_prices, _pipeline, _history, _airflow):
        dashboard = add(dashboard)
    return dashboard


def _link(title: str, url: str, icon: str) -> build.DashboardLink:
    return build.DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon(icon).target_blank(True)


def _variables() -> list[build.QueryVariable | build.ConstantVariable]:
    everything = VariableOption(text=["All"], value=["$__all"])
    coin = _query_variable("coin", "Coin").current(VariableOption(text="Bitcoin (BTC)", value="BTC"))
    exchange = _query_variable("exchange", "Exchange").multi(True).include_all(True).current(everything)
    quote = _query_variable("quote", "Quote currency").multi(True).include_all(True).current(everything)
    addresses = [
        build.ConstantVariable(name).value(url) for name, url in (("airflow_url", AIRFLOW_URL), ("web_url", WEB_URL))
    ]
    return [coin, exchange, quote, *addresses]


def _query_variable(name: str, label: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(POSTGRES)
        .query(statement(f"variable_{name}"))
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .allow_custom_value(False)
    )


def _prices(dashboard: build.Dashboard) -> build.Dashboard:
    thick = [DynamicConfigValue(id_val="custom.lineWidth", value=3)]
    signs = [Threshold(value=None, color="red"), Threshold(value=0, color="green")]
    return (
        dashboard.with_row(build.Row("Prices"))
        .with_panel(
            chart(about("price"), [sql("price", series=True)], unit=NUMBER, span=18, axis="quote currency")
            .decimals(DIGITS)
            .override_by_regexp("/^index /", thick)
        )
        .with_panel(
            number(about("change"), [sql("change")], unit="percent", span=6, all_rows=True)
            .height(9)
            .decimals(2)
            .thresholds(build.ThresholdsConfig().steps(signs))
        )
        .with_panel(
            rows(
                about("latest"),
                sql("latest"),
                units={
                    "Price": (NUMBER, DIGITS),
                    "24h change": ("percent", 2),
                    "24h volume": (NUMBER, 2),
                    "Spread": ("percent", 3),
                    "Age": ("s", 0),
                },
            )
        )
        .with_panel(chart(about("volume"), [sql("volume", series=True)], unit=NUMBER, axis="${coin}").decimals(2))
        .with_panel(chart(about("spread"), [sql("spread", series=True)], unit="percent").decimals(3))
    )


def _pipeline(dashboard: build.Dashboard) -> build.Dashboard:
    each = f"{GAUGE}.exchanges.*"
    ages = f"{GAUGE}.prices.*.*.*.age_seconds"
    # countSeries counts files, including those of series that have ended. Instead, sum a 1 per series with a value.
    alive = f"sumSeries(offset(scale(keepLastValue({GAUGE}.prices.*.*.*.price, 2), 0), 1))"
    return (
        dashboard.with_row(build.Row("Pipeline"))
        .with_panel(number(about("age"), [sql("newest_age")], unit="s", warn=600))
        .with_panel(number(about("failed"), graphite(f"{GAUGE}.cycle.exchanges_failed"), unit="short", warn=1))
        .with_panel(number(about("live"), graphite(f"alias({alive}, 'pairs')"), unit="short"))
        .with_panel(number(about("queued"), graphite(f"{GAUGE}.cycle.outbox_queued"), unit="short", warn=50))
        .with_panel(number(about("oldest_email"), graphite(f"{GAUGE}.cycle.outbox_oldest_seconds"), unit="s", warn=600))
        .with_panel(number(about("failed_emails"), graphite(f"{GAUGE}.cycle.emails_failed"), unit="short", warn=1))
        .with_panel(
            rows(
                about("exchanges"),
                sql("exchanges"),
                units={
                    "Last success": ("dateTimeFromNow", None),
                    "Consecutive failures": ("short", 0),
                    "Rate limited until": ("dateTimeAsLocal", None),
                    "Fetch duration": ("s", 2),
                },
                height=8,
            )
        )
        .with_panel(steps(about("fetch"), graphite(f"aliasByNode({each}.fetch_seconds, 4)"), unit="s"))
        .with_panel(steps(about("quotes"), graphite(f"aliasByNode({each}.quotes, 4)"), unit="short"))
        .with_panel(steps(about("errors"), graphite(f"aliasByNode({each}.errors, 4)"), unit="short"))
        .with_panel(
            steps(
                about("rejected"),
                graphite(
                    f"aliasByNode({each}.rejected, 4)",
                    f"aliasSub(aliasByNode({each}.not_trading, 4), '$', ' not trading')",
                ),
                unit="short",
            )
        )
        .with_panel(steps(about("oldest"), graphite(f"groupByNode({ages}, 4, 'max')"), unit="s"))
        .with_panel(steps(about("stored"), graphite(f"alias({GAUGE}.cycle.rows, 'prices stored')"), unit="short"))
        .with_panel(
            steps(
                about("alerts_and_emails"),
                graphite(
                    f"alias({GAUGE}.cycle.alerts, 'alerts fired')",
                    f"alias({GAUGE}.cycle.emails_sent, 'emails sent')",
                    f"alias({GAUGE}.cycle.emails_retried, 'emails to retry')",
                    f"alias({GAUGE}.cycle.emails_failed, 'emails failed')",
                    f"alias({GAUGE}.cycle.channel_messages_sent, 'channel messages sent')",
                ),
                unit="short",
            )
        )
        .with_panel(
            rows(
                about("alerts"),
                sql("alerts"),
                units={
                    "Fired": ("dateTimeAsLocal", None),
                    "Price": (NUMBER, DIGITS),
                    "Compared with": (NUMBER, DIGITS),
                    "Change": ("percent", 2),
                },
                span=16,
                height=9,
            )
        )
        .with_panel(steps(about("kinds"), graphite(f"aliasByNode({GAUGE}.cycle.alerts.*, 5)"), unit="short", span=12))
        .with_panel(number(about("held_alerts"), graphite(f"{GAUGE}.notifications.held_alerts"), unit="short"))
        .with_panel(
            number(about("held_by_limit"), graphite(f"{GAUGE}.notifications.held_by_limit"), unit="short", warn=1)
        )
        .with_panel(number(about("suppressed"), graphite(f"{GAUGE}.notifications.suppressed_addresses"), unit="short"))
    )


def _history(dashboard: build.Dashboard) -> build.Dashboard:
    tables = f"{GAUGE}.database.*.bytes"
    return (
        dashboard.with_row(build.Row("History"))
        .with_panel(
            rows(
                about("gaps"),
                sql("gaps"),
                units={"From": ("dateTimeAsLocal", None), "To": ("dateTimeAsLocal", None), "Length": ("s", 0)},
                height=8,
            )
        )
        .with_panel(steps(about("missing"), graphite(f"aliasByNode({GAUGE}.gaps.*.missing_minutes, 4)"), unit="short"))
        .with_panel(steps(about("open_gaps"), graphite(f"aliasByNode({GAUGE}.gaps.*.open, 4)"), unit="short"))
        .with_panel(steps(about("findings"), graphite(f"aliasByNode({GAUGE}.quality.*.findings, 4)"), unit="short"))
        .with_panel(
            steps(
                about("disk"),
                graphite(
                    f"aliasByNode(keepLastValue({tables}), 4)",
                    f"alias(keepLastValue({GAUGE}.database.bytes), 'total')",
                ),
                unit="bytes",
            )
        )
    )


def _airflow(dashboard: build.Dashboard) -> build.Dashboard:
    runs = f"{AIRFLOW_TIMER}.dagrun"
    return (
        dashboard.with_row(build.Row("Airflow"))
        .with_panel(
            dots(
                about("duration"),
                graphite(
                    f"alias({runs}.duration.success.{DAG}.upper, 'succeeded')",
                    f"alias({runs}.duration.failed.{DAG}.upper, 'failed')",
                ),
                unit="ms",
            )
        )
        .with_panel(dots(about("delay"), graphite(f"alias({runs}.schedule_delay.{DAG}.upper, 'delay')"), unit="ms"))
        .with_panel(
            bars(
                about("finished"),
                graphite(
                    f"alias(summarize({AIRFLOW_COUNT}.ti_successes, '5min', 'sum'), 'succeeded')",
                    f"alias(summarize({AIRFLOW_COUNT}.ti_failures, '5min', 'sum'), 'failed')",
                ),
                unit="short",
            )
        )
        .with_panel(
            bars(
                about("failures"),
                graphite(f"aliasByNode(summarize({AIRFLOW_COUNT}.ti.finish.{DAG}.*.failed, '5min', 'sum'), 5)"),
                unit="short",
                span=6,
            )
        )
        .with_panel(
            steps(
                about("heartbeat"),
                graphite(
                    f"alias(summarize({AIRFLOW_COUNT}.scheduler_heartbeat, '1min', 'sum'), 'scheduler')",
                    f"alias(summarize({AIRFLOW_COUNT}.dag_processor_heartbeat, '1min', 'sum'), 'DAG processor')",
                ),
                unit="short",
                span=6,
            )
        )
        .with_panel(
            steps(
                about("slots"),
                graphite(
                    f"alias({AIRFLOW_GAUGE}.executor.running_tasks, 'running')",
                    f"alias({AIRFLOW_GAUGE}.executor.queued_tasks, 'queued')",
                    f"alias({AIRFLOW_GAUGE}.executor.open_slots, 'free')",
                ),
                unit="short",
                span=8,
            )
        )
        .with_panel(
            number(
                about("imports"), graphite(f"{AIRFLOW_GAUGE}.dag_processing.import_errors"), unit="short", warn=1
            ).height(9)
        )
    )
