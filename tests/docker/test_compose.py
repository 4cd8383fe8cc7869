"""docker/compose.yaml, read as a file: no engine needed."""

import re

import pytest

from local.grafana import VERSION as GRAFANA_VERSION
from local.ports import PORTS
from tests.docker.compose_file import DOCKER, PROJECT, VARIABLE, defaults, environment, services

ONE_SHOT = {"folders", "setup"}
OURS = {"folders", "setup", "coinnews", "web", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor"}
OFFICIAL = {
    "POSTGRES_IMAGE": "postgres:18",
    "GRAPHITE_IMAGE": "graphiteapp/graphite-statsd:1.1.10-5",
    "MAIL_IMAGE": "axllent/mailpit:v1.28",
    "GRAFANA_IMAGE": f"grafana/grafana:{GRAFANA_VERSION}",
    "COINWATCH_IMAGE": "coinwatch:local",
    "COINWATCH_AIRFLOW_IMAGE": "coinwatch-airflow:local",
}
# The services that get each secret.
HOLDERS = {
    "COINWATCH_POSTGRES_PASSWORD": {"postgres", "setup"},
    "COINWATCH_DATABASE_OWNER_PASSWORD": {"setup"},
    "COINWATCH_DATABASE_READER_PASSWORD": {"setup", "grafana"},
    "COINWATCH_DATABASE_APP_PASSWORD": {"setup", "web", "airflow-api-server", "airflow-scheduler"},
    "COINWATCH_AIRFLOW_DATABASE_PASSWORD": {
        "setup",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
    },
    "COINWATCH_AIRFLOW_ADMIN_PASSWORD": {"setup"},
    "COINWATCH_API_TOKEN": {"web"},
    "COINWATCH_GRAFANA_ADMIN_PASSWORD": {"grafana"},
    "COINWATCH_GRAFANA_SECRET_KEY": {"grafana"},
    "COINWATCH_GRAPHITE_SECRET_KEY": {"graphite"},
}


def test_images_default_to_official_names_and_can_be_overridden() -> None:
    images = {str(service["image"]) for service in services().values()}
    assert images == {f"${{{name}:-{default}}}" for name, default in OFFICIAL.items()}


def test_containers_reach_each_other_without_a_proxy() -> None:
    servers = services().keys() - ONE_SHOT - {"airflow-scheduler", "airflow-dag-processor"}
    clients = ("setup", "web", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "grafana")
    for name in clients:
        hosts = set(environment(name)["NO_PROXY"].partition("}")[2].lstrip("},").split(","))
        assert hosts == {"127.0.0.1", "localhost", "::1"} | servers, name
        assert environment(name)["no_proxy"] == environment(name)["NO_PROXY"]


def test_only_our_own_images_have_a_configurable_base() -> None:
    for name, service in services().items():
        assert ("build" in service) == (name in OURS), name
        if name in OURS:
            assert service["build"]["args"]["PYTHON_IMAGE"].startswith("${PYTHON_IMAGE:-python:")


@pytest.mark.parametrize("name", services())
def test_long_running_services_have_restart_policy_health_check_and_limits(name: str) -> None:
    service = services()[name]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    assert service["labels"]["coinwatch.title"]


@pytest.mark.parametrize("name", sorted(OURS | {"mail", "grafana"}))
def test_services_drop_all_capabilities(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    if name != "folders":  # it changes the owner of folders, without a network
        assert "cap_add" not in service
        assert str(service.get("user", "50000")) != "0"


def test_services_running_as_root_have_no_network() -> None:
    assert services()["folders"]["network_mode"] == "none"


def test_only_web_and_airflow_can_be_exposed_to_other_hosts() -> None:
    public = set()
    for name, service in services().items():
        for published in service.get("ports", []):
            address = str(published).split(":${")[0].split(":1")[0]
            if str(published).startswith("${COINWATCH_BIND_HOST:-127.0.0.1}:"):
                public.add(name)
            else:
                assert address == "127.0.0.1", published
    assert public == {"web", "airflow-api-server"}


def test_ports_match_the_local_stack() -> None:
    inner = {"COINWATCH_STATSD_ADMIN_PORT", "COINWATCH_CARBON_PORT"}  # used inside the container only
    ports = {name: value for name, value in defaults().items() if name.endswith("_PORT")}
    assert ports == {port.setting: str(port.default) for port in PORTS.values() if port.setting not in inner}


def test_secrets_have_no_default() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET_KEY")
    found = [use for use in VARIABLE.finditer((DOCKER / "compose.yaml").read_text()) if secret.search(use["name"])]
    assert len({use["name"] for use in found}) == 14
    for use in found:
        assert use["kind"] == "?", use[0]
        assert "docker_run.sh" in use["rest"], use[0]


@pytest.mark.parametrize("secret", HOLDERS)
def test_secrets_reach_only_services_that_need_them(secret: str) -> None:
    holders = {name for name in services() if any(secret in value for value in environment(name).values())}
    assert holders == HOLDERS[secret]


def test_commands_and_labels_contain_no_secrets() -> None:
    for name, service in services().items():
        shown = f"{service.get('command')} {service['healthcheck']} {service.get('labels', {}).values()}"
        assert not re.search(r"\$\{\w*(PASSWORD|SECRET|TOKEN|KEY)", shown), name


def test_mounted_files_exist_and_are_read_only() -> None:
    mounted = 0
    for service in services().values():
        for volume in service.get("volumes", []):
            if str(volume).startswith("."):
                source, _, mode = str(volume).split(":")
                assert (DOCKER / source).resolve().is_relative_to(PROJECT)
                assert (DOCKER / source).exists(), source
                assert mode == "ro,z", volume
                mounted += 1
    assert mounted == 9


def test_services_with_a_database_start_after_setup() -> None:
    for name in ("web", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "grafana"):
        assert services()[name]["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    assert services()["setup"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_graphite_configuration_is_mounted_at_the_path_the_image_reads() -> None:
    targets = {str(volume).split(":")[-2] for volume in services()["graphite"]["volumes"] if ":ro" in str(volume)}
    assert targets >= {
        "/opt/graphite/conf/carbon.conf",
        "/opt/graphite/conf/storage-schemas.conf",
        "/opt/graphite/conf/storage-aggregation.conf",
        "/opt/statsd/config/udp.js",
    }
    assert environment("graphite")["STATSD_INTERFACE"] == "udp"
    assert environment("graphite")["STATSD_FOLDER"] == "/opt/coinwatch/statsd"


def test_carbon_configuration_differs_only_in_expected_settings() -> None:
    def settings(path: str) -> dict[str, str]:
        lines = (PROJECT / path).read_text().splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip() for name, value in pairs}

    here, there = settings("docker/graphite/carbon.conf"), settings("graphite/carbon.conf")
    changed = {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}
    assert changed == {"CACHE_QUERY_PORT", "PID_DIR"}
