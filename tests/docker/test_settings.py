"""docker/settings.sh: generated and rejected secrets, validated settings; and agreement with the local stack."""

import os
import re
import subprocess
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from coinwatch.settings import Settings
from local.airflow import airflow_environment
from local.configuration import make_configuration
from local.environment_file import EXAMPLE, SECRETS, ensure_secrets, read_environment
from local.paths import Paths
from tests.docker.compose_file import DOCKER, PROJECT, environment

EXAMPLES = ["change-me", "CHANGE_ME", "changeit", "example", "secret", "password", "admin", "your-password", "<secret>"]
EXAMPLES += ["xxxx", "....", "replace-this", "insert here", "12345678", "todo", "my-secret"]


def shell(folder: Path, command: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run functions of settings.sh as docker_run.sh does, with ``folder`` as its PATH."""
    script = f"""
    set -euo pipefail
    project={PROJECT} folder={folder} env_file={folder}/.env new_password=
    fail() {{ printf '%s\\n' "$1" >&2; exit 1; }}
    running() {{ :; }}
    . {DOCKER}/settings.sh
    {command}
    """
    inherited = {name: os.environ[name] for name in ("PATH",)}
    return subprocess.run(
        ["bash", "-c", script], env={**inherited, **(settings or {})}, capture_output=True, text=True, check=False
    )


def test_secrets_are_generated_once_and_readable_only_by_the_owner(tmp_path: Path) -> None:
    assert shell(tmp_path, "prepare_secrets").returncode == 0
    first = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    values = re.findall(r"^\w+=(.+)$", first, flags=re.MULTILINE)
    assert len(values) == len(set(values)) == len(SECRETS)
    shell(tmp_path, "prepare_secrets")
    assert (tmp_path / ".env").read_text() == first


def test_both_stacks_have_the_same_secrets(tmp_path: Path) -> None:
    shell(tmp_path, "prepare_secrets")
    made = (tmp_path / ".env").read_text()
    file = ensure_secrets(read_environment(tmp_path / ".env", {}))
    assert (tmp_path / ".env").read_text() == made
    assert file.user_settings.keys() == SECRETS.keys()
    assert len(urlsafe_b64decode(file.user_settings["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(file.user_settings["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64


def test_example_file_is_rejected_naming_an_empty_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((DOCKER / ".env.example").read_text())
    done = shell(tmp_path, "prepare_secrets")
    assert done.returncode == 1
    assert done.stderr.startswith("COINWATCH_SECRET_KEY is empty. ")


def test_example_file_lists_every_secret_without_a_value() -> None:
    text = (DOCKER / ".env.example").read_text()
    assert set(re.findall(r"^(\w+)=$", text, flags=re.MULTILINE)) == SECRETS.keys()
    assert not re.findall(r"^\w+=.+$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("value", EXAMPLES)
def test_example_value_is_rejected_by_both_stacks(tmp_path: Path, value: str) -> None:
    assert EXAMPLE.fullmatch(value)
    done = shell(tmp_path, "prepare_secrets", {"COINWATCH_API_TOKEN": value})
    assert "COINWATCH_API_TOKEN is an example value" in done.stderr
    assert not (tmp_path / ".env").read_text()


@pytest.mark.parametrize(
    ("value", "reason"), [("", "is empty"), ("abc1234", "has 7 characters"), ("slash/and:colon@8", "may contain only")]
)
def test_invalid_secret_is_rejected(tmp_path: Path, value: str, reason: str) -> None:
    (tmp_path / ".env").write_text(f"COINWATCH_POSTGRES_PASSWORD={value}\n")
    assert f"COINWATCH_POSTGRES_PASSWORD {reason}" in shell(tmp_path, "prepare_secrets").stderr


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("COINWATCH_COLLECT_SCHEDULE_MINUTES", "soon", "is 'soon'; it must be"),
        ("COINWATCH_COLLECT_SCHEDULE_MINUTES", "0", "is '0'; it must be"),
        ("COINWATCH_COINNEWS_REPLAY", "/no/such.csv", "does not exist"),
        ("COINWATCH_DOCKER_WITHOUT", "postgres", "only grafana and mail can be left out"),
    ],
)
def test_invalid_setting_is_reported(tmp_path: Path, name: str, value: str, problem: str) -> None:
    (tmp_path / ".env").touch()
    done = shell(tmp_path, "check_settings", {name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(name)
    assert problem in done.stderr


@pytest.mark.parametrize("value", ["abc", "0", "70000", "-1"])
def test_invalid_port_is_reported(tmp_path: Path, value: str) -> None:
    (tmp_path / ".env").write_text(f"COINWATCH_WEB_PORT={value}\n")
    assert f"COINWATCH_WEB_PORT is '{value}'" in shell(tmp_path, "check_ports").stderr


def test_port_in_use_is_reported(tmp_path: Path, free_ports: dict[str, str], taken_port: int) -> None:
    (tmp_path / ".env").touch()
    done = shell(tmp_path, "check_ports", {**free_ports, "COINWATCH_WEB_PORT": str(taken_port)})
    assert done.stderr.startswith(f"Port {taken_port} is already in use")
    assert "COINWATCH_WEB_PORT" in done.stderr
    assert shell(tmp_path, "check_ports", free_ports).returncode == 0


def test_environment_overrides_the_file_without_quotes_and_comments(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export COINWATCH_EMAIL_FROM=\"a <a@b.c>\"  # sender\nCOINWATCH_WEB_PORT='1234'\n")
    assert shell(tmp_path, "setting COINWATCH_EMAIL_FROM").stdout == "a <a@b.c>"
    assert shell(tmp_path, "setting COINWATCH_WEB_PORT").stdout == "1234"
    assert shell(tmp_path, "setting COINWATCH_WEB_PORT", {"COINWATCH_WEB_PORT": "99"}).stdout == "99"
    assert shell(tmp_path, "setting COINWATCH_OTHER default").stdout == "default"


def test_user_settings_reach_containers_but_secrets_do_not(tmp_path: Path) -> None:
    shell(tmp_path, "prepare_secrets")
    with (tmp_path / ".env").open("a") as file:
        file.write("COINWATCH_EXCHANGES__KRAKEN__TIMEOUT_SECONDS=7\n")
    shell(tmp_path, "write_settings", {"COINWATCH_EXCHANGES__BINANCE__API_KEY": "k y"})
    assert (tmp_path / "settings.env").read_text().splitlines() == [
        "COINWATCH_EXCHANGES__KRAKEN__TIMEOUT_SECONDS=7",
        "COINWATCH_EXCHANGES__BINANCE__API_KEY='k y'",
    ]
    assert (tmp_path / "settings.env").stat().st_mode & 0o777 == 0o600


def test_every_setting_reaches_its_containers(tmp_path: Path) -> None:
    given = {f"COINWATCH_{field.upper()}" for field in Settings.model_fields.keys() - {"coins", "exchanges"}}
    (tmp_path / ".env").write_text("".join(f"{name}=1\n" for name in sorted(given)))
    shell(tmp_path, "write_settings")
    handed_on = set(re.findall(r"^(\w+)=", (tmp_path / "settings.env").read_text(), flags=re.MULTILINE))
    by_name = set().union(*(environment(part) for part in ("setup", "airflow-scheduler", "web")))
    assert given <= handed_on | by_name
    assert not handed_on & by_name


@pytest.mark.parametrize("minutes", ["0.25", "0.5", "1", "3", "7.7"])
def test_gauges_expire_at_the_same_age_in_both_stacks(tmp_path: Path, minutes: str) -> None:
    (tmp_path / ".env").touch()
    user_settings = {"COINWATCH_COLLECT_SCHEDULE_MINUTES": minutes}
    file = ensure_secrets(read_environment(tmp_path / "other.env", user_settings))
    expected = make_configuration(Paths(PROJECT, tmp_path, tmp_path / "other.env"), file).gauge_flushes
    assert shell(tmp_path, "gauge_flushes", user_settings).stdout.strip() == str(expected)


def test_airflow_settings_are_the_same_in_both_stacks(tmp_path: Path) -> None:
    file = ensure_secrets(read_environment(tmp_path / ".env", {}))
    there = airflow_environment(make_configuration(Paths(PROJECT, tmp_path, tmp_path / ".env"), file))
    ours = environment("airflow-scheduler").items()
    here = {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value) for name, value in ours}
    # Addresses and folders differ; secrets are interpolated.
    excluded = ("_URL", "_CONN", "_FOLDER", "STATSD_HOST", "STATSD_PORT", "_KEY", "_SECRET", "AIRFLOW_HOME")
    alike = {name for name in there if name.startswith("AIRFLOW_") and not name.endswith(excluded)}
    assert {name: here.get(name) for name in alike} == {name: there[name] for name in alike}
    assert len(alike) > 12
