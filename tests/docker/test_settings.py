"""docker/settings.sh: generated and rejected secrets, validated settings; and agreement with the local stack."""

import json
import os
import re
import shutil
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Collection
from pathlib import Path

import pytest

from coinwatch.settings import Settings, load_settings
from local.airflow import airflow_environment
from local.configuration import make_configuration
from local.environment_file import EXAMPLE, SECRETS, ensure_secrets, read_environment, write_addresses
from local.errors import StackError
from local.paths import Paths
from tests.docker.compose_file import DOCKER, PROJECT, environment

EXAMPLES = ["change-me", "CHANGE_ME", "changeit", "example", "secret", "password", "admin", "your-password", "<secret>"]
EXAMPLES += ["xxxx", "....", "replace-this", "insert here", "12345678", "todo", "my-secret"]


def shell(folder: Path, command: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run functions of settings.sh as docker_run.sh does, with ``folder`` as its PATH."""
    script = f"""
    set -euo pipefail
    project={PROJECT} folder={folder} env_file={folder}/.env new_password= stack=test
    fail() {{ printf '%s\\n' "$1" >&2; exit 1; }}
    . {DOCKER}/settings.sh
    . {DOCKER}/containers.sh
    running() {{ :; }}
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


@pytest.mark.parametrize("name", SECRETS)
def test_short_secret_is_rejected_by_both_stacks(tmp_path: Path, name: str) -> None:
    short = "k" * (SECRETS[name].min_length - 1)
    assert f"{name} has {len(short)} characters" in shell(tmp_path, "prepare_secrets", {name: short}).stderr
    enough = SECRETS[name].generate()
    assert shell(tmp_path, "prepare_secrets", {name: enough}).returncode == 0


@pytest.mark.parametrize("value", ["k" * 44, "k" * 45 + "=", "+" * 43 + "="])
def test_invalid_fernet_key_is_rejected_by_both_stacks(tmp_path: Path, value: str) -> None:
    """Airflow would fail when it encrypts the first connection."""
    name = "AIRFLOW__CORE__FERNET_KEY"
    assert f"{name} is not a Fernet key" in shell(tmp_path, "prepare_secrets", {name: value}).stderr
    with pytest.raises(StackError, match=f"{name} is not a Fernet key"):
        ensure_secrets(read_environment(tmp_path / "local.env", {name: value}))


def test_files_that_containers_cannot_read_are_reported(tmp_path: Path) -> None:
    """As after a clone with umask 077."""
    for folder in ("docker/graphite", "graphite", "grafana/provisioning"):
        (tmp_path / folder).mkdir(parents=True)
    file = tmp_path / "grafana" / "grafana.ini"
    file.touch(mode=0o600)
    done = shell(tmp_path, f"project={tmp_path}; check_settings")
    assert done.stderr.startswith(f"Containers cannot read {file}")
    file.chmod(0o644)
    assert shell(tmp_path, f"project={tmp_path}; check_settings").returncode == 0


def test_folder_with_a_colon_is_rejected(tmp_path: Path) -> None:
    assert "has a colon" in shell(tmp_path, f"choose_folder '{tmp_path}/a:b'").stderr


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
        ("AIRFLOW__API__BASE_URL", "home.example.org/airflow", "it must be a URL such as"),
        ("AIRFLOW__API__BASE_URL", "https:///airflow", "it must be a URL such as"),
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
    assert f"COINWATCH_WEB_PORT is '{value}'" in shell(tmp_path, "load_env_file; check_ports").stderr


def test_values_are_checked_before_the_machine(tmp_path: Path, free_ports: dict[str, str], taken_port: int) -> None:
    """A running stack, which uses the first port, does not hide a wrong value."""
    settings = {**free_ports, "COINWATCH_POSTGRES_PORT": str(taken_port), "COINWATCH_GRAFANA_PORT": "abc"}
    assert shell(tmp_path, "check_ports", settings).stderr.startswith("COINWATCH_GRAFANA_PORT is 'abc'")


def test_port_in_use_is_reported(tmp_path: Path, free_ports: dict[str, str], taken_port: int) -> None:
    (tmp_path / ".env").touch()
    done = shell(tmp_path, "check_ports", {**free_ports, "COINWATCH_WEB_PORT": str(taken_port)})
    assert done.stderr.startswith(f"Port {taken_port} is already in use")
    assert "COINWATCH_WEB_PORT" in done.stderr
    assert shell(tmp_path, "check_ports", free_ports).returncode == 0


def test_environment_overrides_the_file_without_quotes_and_comments(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export COINWATCH_EMAIL_FROM=\"a <a@b.c>\"  # sender\nCOINWATCH_WEB_PORT='1234'\n")

    def setting(arguments: str, settings: dict[str, str] | None = None) -> str:
        return shell(tmp_path, f"load_env_file; setting {arguments}", settings).stdout

    assert setting("COINWATCH_EMAIL_FROM") == "a <a@b.c>"
    assert setting("COINWATCH_WEB_PORT") == "1234"
    assert setting("COINWATCH_WEB_PORT", {"COINWATCH_WEB_PORT": "99"}) == "99"
    assert setting("COINWATCH_OTHER default") == "default"


def test_unreadable_file_is_reported_with_the_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nCOINWATCH_SECRET_KEY='unfinished\n")
    done = shell(tmp_path, "prepare_secrets")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Line 2 of {tmp_path}/.env is not NAME=value.")
    assert "unfinished" not in done.stderr


def test_secrets_are_added_below_a_last_line_without_its_end(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COINWATCH_WEB_PORT=1234")
    assert shell(tmp_path, "prepare_secrets").returncode == 0
    assert (tmp_path / ".env").read_text().startswith("COINWATCH_WEB_PORT=1234\nCOINWATCH_SECRET_KEY=")


def test_addresses_of_the_local_stack_are_not_settings(tmp_path: Path) -> None:
    file = ensure_secrets(read_environment(tmp_path / ".env", {}))
    write_addresses(file, {"COINWATCH_SMTP_URL": "smtp://127.0.0.1:11025"})
    with (tmp_path / ".env").open("a") as end:
        end.write("COINWATCH_WEB_PORT=1234\n")
    done = shell(tmp_path, "prepare_secrets; setting COINWATCH_SMTP_URL none; setting COINWATCH_WEB_PORT")
    assert done.stdout == "none1234"


NASTY = r"""
COINWATCH_EMAIL_FROM="coinwatch <alerts@example.org>" # who sends
export COINWATCH_SMTP_URL = 'smtps://a:p%C3%A4ss$x$$y@mail.example.org'   # a comment
COINWATCH_EXPORT_PATH=${HOME}/exports # on this machine
COINWATCH_PUBLIC_URL=http://127.0.0.1/${COINWATCH_UNKNOWN:-prices}
COINWATCH_EXCHANGES__KRAKEN__NAME="back\\slash \"quoted\" it's #1 $HOME ${COINWATCH_EXPORT_PATH} \$ end\\"
COINWATCH_EXCHANGES__BINANCE__NAME=C:\new\table
COINWATCH_EXCHANGES__COINBASE__NAME='C:\new\table #1 "$x" \\ it\'s'
COINWATCH_EXCHANGES__BITSTAMP__NAME="two
lines"
# COINWATCH_EXCHANGES__COINGECKO__NAME=commented
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_env_file_has_the_same_values_for_every_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newline: str
) -> None:
    """The library, local_run.sh, and the containers that Docker Compose starts."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf" + NASTY.replace("\n", newline).encode())
    monkeypatch.setenv("COINWATCH_ENV_FILE", str(tmp_path / ".env"))
    settings = load_settings()
    values = {
        "COINWATCH_EMAIL_FROM": settings.email_from,
        "COINWATCH_SMTP_URL": settings.smtp_url.get_secret_value(),
        "COINWATCH_EXPORT_PATH": settings.export_path,
        "COINWATCH_PUBLIC_URL": settings.public_url,
        **{
            f"COINWATCH_EXCHANGES__{code.upper()}__NAME": settings.exchanges[code].name
            for code in ("kraken", "binance", "coinbase", "bitstamp")
        },
    }
    assert values["COINWATCH_EMAIL_FROM"] == "coinwatch <alerts@example.org>"
    assert values["COINWATCH_EXPORT_PATH"] == f"{os.environ['HOME']}/exports"
    assert values["COINWATCH_EXCHANGES__BINANCE__NAME"] == r"C:\new\table"
    local = read_environment(tmp_path / ".env", dict(os.environ)).user_settings
    assert {name: local.get(name) for name in values} == values
    assert containers_environment(tmp_path, values.keys()) == values


def containers_environment(folder: Path, names: Collection[str]) -> dict[str, str]:
    """The variables of the container airflow-scheduler, according to Docker Compose."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("Docker's compose plugin is not installed")
    done = shell(folder, "prepare_secrets; write_settings; compose config --format json", {"HOME": os.environ["HOME"]})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["services"]["airflow-scheduler"]["environment"]
    return {name: found[name].replace("$$", "$") for name in names}


def test_user_settings_reach_containers_but_secrets_do_not(tmp_path: Path) -> None:
    shell(tmp_path, "prepare_secrets")
    with (tmp_path / ".env").open("a") as file:
        file.write("COINWATCH_EXCHANGES__KRAKEN__TIMEOUT_SECONDS=7\n")
    shell(tmp_path, "load_env_file; write_settings", {"COINWATCH_EXCHANGES__BINANCE__API_KEY": "k y"})
    assert set((tmp_path / "settings.env").read_text().splitlines()) == {
        'COINWATCH_EXCHANGES__KRAKEN__TIMEOUT_SECONDS="7"',
        'COINWATCH_EXCHANGES__BINANCE__API_KEY="k y"',
    }
    assert (tmp_path / "settings.env").stat().st_mode & 0o777 == 0o600


def test_every_setting_reaches_its_containers(tmp_path: Path) -> None:
    given = {f"COINWATCH_{field.upper()}" for field in Settings.model_fields.keys() - {"coins", "exchanges"}}
    (tmp_path / ".env").write_text("".join(f"{name}=1\n" for name in sorted(given)))
    shell(tmp_path, "load_env_file; write_settings")
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
    excluded = (
        "_URL",
        "_CONN",
        "_FOLDER",
        "_DIRECTORY",
        "STATSD_HOST",
        "STATSD_PORT",
        "_KEY",
        "_SECRET",
        "AIRFLOW_HOME",
    )
    alike = {name for name in there if name.startswith("AIRFLOW_") and not name.endswith(excluded)}
    assert {name: here.get(name) for name in alike} == {name: there[name] for name in alike}
    assert len(alike) > 12
