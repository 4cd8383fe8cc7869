"""The services of the stack: their commands, addresses and readiness checks."""

import os
from collections.abc import Mapping
from pathlib import Path

from local import airflow, graphite
from local import grafana as grafana_server
from local.configuration import LOOPBACK, Configuration
from local.environments import application_settings, server_environment
from local.node import Node
from local.postgres import Postgres, postgres_environment, server_command
from local.readiness import Check
from local.stack import External, Service, Stack, Tools


def wanted_ports(configuration: Configuration, *, with_grafana: bool) -> dict[str, tuple[str, int]]:
    """The ports that our own services will bind: name -> (address, number)."""
    names = ["coinnews", "airflow", "web"]
    names += ["postgres"] if configuration.runs_postgres else []
    names += ["statsd", "statsd admin"] if configuration.runs_statsd else []
    names += ["carbon", "graphite"] if configuration.runs_graphite else []
    names += ["smtp", "mail"] if configuration.runs_mail_catcher else []
    names += ["grafana"] if with_grafana else []
    public = ("airflow", "web")
    return {
        name: (configuration.bind_host if name in public else LOOPBACK, configuration.ports[name]) for name in names
    }


def plan_stack(configuration: Configuration, tools: Tools) -> Stack:
    """All services that this machine will run, in the order of the final table."""
    services = [_coinnews(configuration), *_airflow(configuration), _web(configuration)]
    if configuration.runs_statsd:
        services.insert(0, _statsd(configuration, tools))
    if configuration.runs_graphite:
        services[:0] = [_carbon(configuration), _graphite(configuration)]
    if tools.postgres:
        services.insert(0, _postgres(configuration, tools.postgres))
    if configuration.runs_mail_catcher:
        services.append(_mail(configuration, tools))
    if tools.grafana:
        services.append(_grafana(configuration, tools.grafana))
    return Stack({service.name: service for service in services}, tuple(_external(configuration)))


def _postgres(configuration: Configuration, postgres: Postgres) -> Service:
    return Service(
        name="postgres",
        title="Postgres",
        command=server_command(configuration, postgres),
        environment=postgres_environment(configuration, postgres),
        directory=postgres.data,
        check=Check("query", (configuration.superuser_url("postgres"),)),
        address=f"{LOOPBACK}:{configuration.ports['postgres']}",
        ports=("postgres",),
        user=postgres.user,
        postgres_data=postgres.data,
        stop_signal="INT",
        stop_seconds=30,
        login="coinwatch_reader, password in .env",
    )


def _carbon(configuration: Configuration) -> Service:
    port = configuration.ports["carbon"]
    return Service(
        name="carbon",
        title="Carbon",
        command=graphite.carbon_command(configuration),
        environment=graphite.graphite_environment(configuration),
        directory=graphite.storage(configuration),
        check=Check("line receiver", (LOOPBACK, port)),
        address=f"{LOOPBACK}:{port}",
        ports=("carbon",),
        remove=(graphite.carbon_pid_file(configuration),),
    )


def _graphite(configuration: Configuration) -> Service:
    url = f"http://{LOOPBACK}:{configuration.ports['graphite']}"
    return Service(
        name="graphite",
        title="Graphite",
        command=graphite.web_command(configuration),
        environment=graphite.graphite_environment(configuration),
        directory=graphite.storage(configuration),
        check=Check("render", (url,)),
        address=url,
        ports=("graphite",),
    )


def _statsd(configuration: Configuration, tools: Tools) -> Service:
    node, modules = _node(tools)
    port, admin = configuration.ports["statsd"], configuration.ports["statsd admin"]
    return Service(
        name="statsd",
        title="StatsD",
        command=graphite.statsd_command(configuration, node, modules),
        environment=graphite.statsd_environment(configuration),
        directory=configuration.paths.run,
        check=Check("gauge", (LOOPBACK, port, admin)),
        address=f"{LOOPBACK}:{port} (TCP and UDP)",
        ports=("statsd", "statsd admin"),
    )


def _mail(configuration: Configuration, tools: Tools) -> Service:
    node, modules = _node(tools)
    smtp, page = configuration.ports["smtp"], configuration.ports["mail"]
    url = f"http://{LOOPBACK}:{page}"
    mailbox = configuration.paths.home / "mail"
    program = modules / "maildev" / "bin" / "maildev"
    protection = configuration.paths.project / "local" / "mail_catcher.js"
    options = ["--ip", LOOPBACK, "--smtp", str(smtp), "--web-ip", LOOPBACK, "--web", str(page)]
    return Service(
        name="mail",
        title="Mail catcher",
        command=[
            str(node.node),
            "--require",
            str(protection),
            str(program),
            *options,
            "--mail-directory",
            str(mailbox),
        ],
        environment=server_environment(configuration),
        directory=configuration.paths.run,
        check=Check("mail", (LOOPBACK, smtp, url)),
        address=url,
        ports=("smtp", "mail"),
    )


def _coinnews(configuration: Configuration) -> Service:
    port = configuration.ports["coinnews"]
    url = f"http://{LOOPBACK}:{port}"
    options = ["--host", LOOPBACK, "--port", str(port), "--data-dir", str(configuration.paths.home / "coinnews")]
    replay = configuration.user_settings.get("COINWATCH_COINNEWS_REPLAY", "")
    if replay:
        speed = configuration.user_settings.get("COINWATCH_COINNEWS_SPEED") or "1"
        options += ["--replay", str(Path(replay).absolute()), "--speed", speed]
    return Service(
        name="coinnews",
        title="coinnews API",
        command=[*_coinwatch(configuration), "coinnews", *options],
        environment=server_environment(
            configuration, {"COINWATCH_HOME": str(configuration.paths.project), "COINWATCH_ENV_FILE": os.devnull}
        ),
        directory=configuration.paths.run,
        check=Check("http", (f"{url}/api/data",)),
        address=url,
        ports=("coinnews",),
    )


def _web(configuration: Configuration) -> Service:
    url = configuration.http("web")
    options = ["--host", configuration.bind_host, "--port", str(configuration.ports["web"])]
    settings = application_settings(configuration, "DATABASE_URL", "SECRET_KEY", "API_TOKEN", "SMTP_URL")
    return Service(
        name="web",
        title="coinwatch",
        command=[*_coinwatch(configuration), "web", *options],
        environment=server_environment(configuration, settings),
        directory=configuration.paths.run,
        check=Check("http", (f"{url}/health",)),
        address=configuration.addresses["COINWATCH_PUBLIC_URL"],
        ports=("web",),
    )


def _airflow(configuration: Configuration) -> list[Service]:
    environment = airflow.airflow_environment(configuration)
    directory = configuration.paths.home / "airflow"
    url = configuration.http("airflow")

    def service(
        name: str, title: str, command: list[str], environment: Mapping[str, str], check: Check, **more: object
    ) -> Service:
        return Service(name, title, command, environment, directory, check, ready_seconds=240, **more)  # type: ignore[arg-type]

    return [
        service(
            "airflow-api-server",
            "Airflow",
            airflow.api_server_command(configuration),
            environment,
            Check("airflow", (url, "metadatabase")),
            address=environment["AIRFLOW__API__BASE_URL"],
            ports=("airflow",),
        ),
        service(
            "airflow-scheduler",
            "Airflow scheduler",
            airflow.scheduler_command(configuration),
            airflow.scheduler_environment(configuration),
            Check("scheduler", (url, environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])),
            address="",
            grace_seconds=60,
            stop_seconds=30,
        ),
        service(
            "airflow-dag-processor",
            "Airflow DAG processor",
            airflow.dag_processor_command(configuration),
            airflow.dag_processor_environment(configuration),
            Check("airflow", (url, "dag_processor")),
            address="",
        ),
    ]


def _grafana(configuration: Configuration, found: grafana_server.Grafana) -> Service:
    url = f"http://{LOOPBACK}:{configuration.ports['grafana']}"
    return Service(
        name="grafana",
        title="Grafana",
        command=grafana_server.grafana_command(configuration, found),
        environment=grafana_server.grafana_environment(configuration),
        directory=configuration.paths.run,
        check=Check("http", (f"{url}/api/health",)),
        address=url,
        ports=("grafana",),
        login=f"{grafana_server.ADMIN}, password in .env",
    )


def _external(configuration: Configuration) -> list[External]:
    """External services, with addresses without passwords."""
    found = []
    if not configuration.local_database:
        found.append(("Postgres", "COINWATCH_DATABASE_URL"))
    if not configuration.runs_statsd:
        found.append(("StatsD", "COINWATCH_STATSD_HOST"))
    if configuration.user_settings.get("COINWATCH_GRAPHITE_URL"):
        found.append(("Graphite", "COINWATCH_GRAPHITE_URL"))
    if not configuration.runs_mail_catcher:
        found.append(("Mail server", "COINWATCH_SMTP_URL"))
    return [External(title, without_password(configuration.addresses[name]), name) for title, name in found]


def without_password(url: str) -> str:
    """The URL with its password, if any, replaced by ``***``."""
    head, at, tail = url.rpartition("@")
    if not at or "://" not in head:
        return url
    scheme, _, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':***' if colon else ''}@{tail}"


def _node(tools: Tools) -> tuple[Node, Path]:
    if tools.node is None or tools.node_modules is None:
        raise AssertionError("a service that needs Node was planned without it")
    return tools.node, tools.node_modules


def _coinwatch(configuration: Configuration) -> list[str]:
    return [str(configuration.paths.bin / "coinwatch")]
