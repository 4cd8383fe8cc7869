"""The stack's configuration: local and external services, and errors in settings."""

import os
from pathlib import Path

import pytest

from local.airflow import airflow_environment, sqlalchemy_url
from local.configuration import Configuration, make_configuration
from local.environment_file import SECRETS, EnvironmentFile
from local.environments import child_environment, server_environment
from local.errors import StackError
from local.node import Node
from local.paths import Paths
from local.services import plan_stack, wanted_ports, without_password
from local.stack import Tools

DATABASES = {
    "COINWATCH_DATABASE_URL": "postgresql://me:pw@db.example.org/prices",
    "COINWATCH_DATABASE_OWNER_URL": "postgresql://owner:pw@db.example.org/prices",
    "COINWATCH_DATABASE_READER_URL": "postgresql://reader:pw@db.example.org/prices",
}


def configure(**settings: str) -> Configuration:
    paths = Paths(Path("/project"), Path("/project/.local"), Path("/project/.env"))
    secrets = {name: f"secret-value-{number}/@" for number, name in enumerate(SECRETS)}
    return make_configuration(paths, EnvironmentFile(paths.env_file, {**secrets, **settings}, {}))


def test_by_default_every_service_runs_on_loopback() -> None:
    configuration = configure()
    ports = wanted_ports(configuration, with_grafana=True)
    assert len(ports) == 11
    assert {host for host, _ in ports.values()} == {"127.0.0.1"}
    assert configuration.addresses["COINWATCH_STATSD_PORT"] == "18125"


def test_special_characters_in_passwords_are_escaped_in_urls() -> None:
    assert "secret-value-4%2F%40@127.0.0.1:15432/coinwatch" in configure().addresses["COINWATCH_DATABASE_URL"]


def test_bind_host_applies_to_airflow_and_the_web_app_only() -> None:
    ports = wanted_ports(configure(COINWATCH_BIND_HOST="0.0.0.0"), with_grafana=True)
    assert {name for name, (host, _) in ports.items() if host == "0.0.0.0"} == {"airflow", "web"}


@pytest.mark.parametrize(
    ("bind_host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
    ],
)
def test_tasks_reach_airflow_at_an_address_that_it_listens_on(bind_host: str, address: str) -> None:
    configuration = configure(COINWATCH_BIND_HOST=bind_host)
    execution_url = airflow_environment(configuration)["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert execution_url == f"http://{address}:8080/execution/"
    assert configuration.http("web") == f"http://{address}:18000"


@pytest.mark.parametrize(("base_url", "secure"), [("", "False"), ("https://example.org/airflow", "True")])
def test_login_cookies_are_secure_over_https(base_url: str, secure: str) -> None:
    environment = airflow_environment(configure(AIRFLOW__API__BASE_URL=base_url))
    assert environment["AIRFLOW__FAB__COOKIE_SECURE"] == secure


@pytest.mark.parametrize("url", ["home.example.org/airflow", "/airflow", "ftp://example.org", "https:///airflow"])
def test_base_url_without_scheme_or_host_is_rejected(url: str) -> None:
    with pytest.raises(StackError, match=r"AIRFLOW__API__BASE_URL is .*; it must be a URL"):
        configure(AIRFLOW__API__BASE_URL=url)


def test_airflow_trusts_the_same_proxies() -> None:
    environment = airflow_environment(configure(COINWATCH_TRUSTED_PROXIES="10.0.0.0/8"))
    assert environment["FORWARDED_ALLOW_IPS"] == environment["COINWATCH_TRUSTED_PROXIES"] == "10.0.0.0/8"
    assert airflow_environment(configure())["FORWARDED_ALLOW_IPS"] == "127.0.0.1,::1"


def test_external_database_leaves_the_local_one_to_airflow() -> None:
    configuration = configure(**DATABASES)
    assert configuration.addresses["COINWATCH_DATABASE_URL"] == DATABASES["COINWATCH_DATABASE_URL"]
    assert configuration.admin_url == ""
    assert "postgres" in wanted_ports(configuration, with_grafana=False)
    both = configure(**DATABASES, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="postgresql://af:pw@db.example.org/airflow")
    assert "postgres" not in wanted_ports(both, with_grafana=False)
    assert (
        airflow_environment(both)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        == "postgresql+psycopg2://af:pw@db.example.org/airflow"
    )


@pytest.mark.parametrize("missing", ["COINWATCH_DATABASE_OWNER_URL", "COINWATCH_DATABASE_READER_URL"])
def test_external_database_requires_all_three_urls(missing: str) -> None:
    with pytest.raises(StackError, match=missing):
        configure(**{**DATABASES, missing: ""})


def test_external_statsd_replaces_statsd_carbon_and_graphite() -> None:
    configuration = configure(COINWATCH_STATSD_HOST="metrics.example.org", COINWATCH_STATSD_PORT="8125")
    assert not {"statsd", "statsd admin", "carbon", "graphite"} & wanted_ports(configuration, with_grafana=False).keys()
    environment = airflow_environment(configuration)
    assert environment["AIRFLOW__METRICS__STATSD_HOST"] == "metrics.example.org"
    assert environment["AIRFLOW__METRICS__STATSD_PORT"] == "8125"
    assert "COINWATCH_GRAPHITE_URL" not in configuration.addresses


@pytest.mark.parametrize(("host", "ipv6"), [("::1", "True"), ("[::1]", "True"), ("127.0.0.1", "False")])
def test_airflow_sends_to_a_statsd_with_an_ipv6_address(host: str, ipv6: str) -> None:
    environment = airflow_environment(configure(COINWATCH_STATSD_HOST=host))
    assert environment["AIRFLOW__METRICS__STATSD_IPV6"] == ipv6
    assert environment["AIRFLOW__METRICS__STATSD_HOST"] == host.strip("[]")


def test_external_graphite_without_statsd_or_carbon_is_rejected() -> None:
    with pytest.raises(StackError, match="COINWATCH_STATSD_HOST"):
        configure(COINWATCH_GRAPHITE_URL="http://graphite.example.org")
    ours = configure(COINWATCH_GRAPHITE_URL="http://graphite.example.org", COINWATCH_CARBON_HOST="graphite.example.org")
    assert "statsd" in wanted_ports(ours, with_grafana=False)
    assert "graphite" not in wanted_ports(ours, with_grafana=False)


def test_external_mail_server_is_used() -> None:
    configuration = configure(COINWATCH_SMTP_URL="smtps://me:pw@mail.example.org")
    assert "smtp" not in wanted_ports(configuration, with_grafana=False)
    assert airflow_environment(configuration)["COINWATCH_SMTP_URL"] == "smtps://me:pw@mail.example.org"


@pytest.mark.parametrize(("minutes", "flushes"), [("3", 54), ("0.25", 6), ("60", 1080)])
def test_gauges_expire_after_three_intervals_and_at_least_a_minute(minutes: str, flushes: int) -> None:
    assert configure(COINWATCH_COLLECT_SCHEDULE_MINUTES=minutes).gauge_flushes == flushes


@pytest.mark.parametrize("minutes", ["0", "-1", "often", "nan", "1e9"])
def test_invalid_interval_is_reported(minutes: str) -> None:
    with pytest.raises(StackError, match="COINWATCH_COLLECT_SCHEDULE_MINUTES"):
        configure(COINWATCH_COLLECT_SCHEDULE_MINUTES=minutes)


def secrets_of(name: str) -> set[str]:
    """The settings that only some processes get, in the environment of a service."""
    services = plan_stack(configure(), Tools(node=Node(Path("node"), ()), node_modules=Path("modules"))).services
    environment = services[name].environment
    assert environment.get("COINWATCH_ENV_FILE", os.devnull) == os.devnull, ".env contains all secrets"
    endings = ("_URL", "_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_CONN")
    public = ("_PUBLIC_URL", "_GRAPHITE_URL", "_BASE_URL", "_SERVER_URL")
    return {name for name in environment if name.endswith(endings) and not name.endswith(public)}


AIRFLOW_SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
}  # fmt: skip
APPLICATION_SECRETS = {"COINWATCH_DATABASE_URL", "COINWATCH_SECRET_KEY", "COINWATCH_SMTP_URL"}


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("coinnews", set()),
        ("statsd", set()),
        ("mail", set()),
        ("carbon", {"GRAPHITE_SECRET_KEY"}),
        ("graphite", {"GRAPHITE_SECRET_KEY"}),
        ("web", APPLICATION_SECRETS | {"COINWATCH_API_TOKEN"}),
        ("airflow-api-server", AIRFLOW_SECRETS | APPLICATION_SECRETS),
        ("airflow-scheduler", AIRFLOW_SECRETS | APPLICATION_SECRETS | {"COINWATCH_AIRFLOW_DATABASE_URL"}),
        ("airflow-dag-processor", AIRFLOW_SECRETS),
    ],
)
def test_each_process_gets_only_its_own_secrets(name: str, secrets: set[str]) -> None:
    assert secrets_of(name) == secrets


def test_servers_get_no_credentials_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    configuration = configure()
    environment = server_environment(configuration)
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert environment["LC_ALL"] == "C.UTF-8"
    assert airflow_environment(configuration)["AWS_SECRET_ACCESS_KEY"] == "mine", "exports to S3 need it"


def test_shell_variables_do_not_reach_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "mine")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "Mine")
    environment = airflow_environment(configure())
    assert not {"PGPASSWORD", "PYTHONPATH"} & environment.keys()
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_services_reach_each_other_without_the_users_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "intranet.example.org, 10.0.0.1")
    configuration = configure(COINWATCH_BIND_HOST="192.168.1.5")
    for environment in (child_environment(configuration), airflow_environment(configuration)):
        assert environment["HTTP_PROXY"] == "http://proxy.example.org:3128"
        assert environment["NO_PROXY"] == environment["no_proxy"]
        hosts = environment["NO_PROXY"].split(",")
        assert hosts == ["intranet.example.org", "10.0.0.1", "127.0.0.1", "localhost", "::1", "192.168.1.5"]


def test_displayed_addresses_contain_no_password() -> None:
    assert without_password("postgresql://me:p@w@host/db") == "postgresql://me:***@host/db"
    assert without_password("smtp://127.0.0.1:25?tls=none") == "smtp://127.0.0.1:25?tls=none"
    assert without_password("metrics.example.org") == "metrics.example.org"


def test_non_postgres_urls_keep_their_driver() -> None:
    assert sqlalchemy_url("mysql+mysqldb://a:b@c/d") == "mysql+mysqldb://a:b@c/d"
