"""Starting the stack: checks, the order of services, and progress messages."""

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from local import airflow, grafana, graphite, supervisor
from local.airflow_database import create_airflow_database
from local.backup import prepare_database
from local.commands import LOGIN_REJECTED, explain_failure, run_command
from local.configuration import Configuration, make_configuration
from local.environment_file import ensure_secrets, read_environment, write_addresses
from local.environments import application_settings, server_environment
from local.errors import DiskFull, StackError
from local.node import build_web_assets, find_node, install_packages
from local.paths import Paths, make_folders
from local.ports import check_free
from local.postgres import prepare_postgres
from local.readiness import check_dag, run_check
from local.services import plan_stack, wanted_ports
from local.stack import Service, Stack, Tools, save_stack, write_specification
from local.stop import stop_stack

FIRST_START_MEGABYTES = 700  # Postgres 100, write-ahead log 100, Airflow's database, npm 50, logs, and some reserve
LATER_START_MEGABYTES = 200
MAX_CRASHES = 4

Say = Callable[[str], None]


@dataclass
class _Run:
    """The state shared by the parallel steps of one start."""

    configuration: Configuration
    stack: Stack
    say: Say
    began: float = field(default_factory=time.monotonic)
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> Paths:
        return self.configuration.paths


def read_configuration(paths: Paths, environment: dict[str, str]) -> Configuration:
    """Validate settings, generate missing secrets, and write addresses to .env."""
    file = ensure_secrets(read_environment(paths.env_file, environment))
    configuration = make_configuration(paths, file)
    write_addresses(file, configuration.addresses)
    return configuration


def start_stack(paths: Paths, environment: dict[str, str], say: Say) -> Configuration:
    """Start all services and wait until each is ready. After a failure, nothing is left running."""
    check_disk_space(paths)
    make_folders(paths)
    configuration = read_configuration(paths, environment)
    left_over = stop_stack(paths)
    if left_over:
        say(f"ended {left_over} processes left over from an earlier run")
    missing: list[str] = []
    found = _find_grafana(configuration, say, missing)
    if configuration.runs_graphite and (problem := graphite.find_missing_cairo()):
        missing.append(problem)
        say(problem)
    check_free(wanted_ports(configuration, with_grafana=found is not None))
    try:
        tools = _prepare_tools(configuration, found, say)
        stack = plan_stack(configuration, tools)
        save_stack(paths, stack, tuple(missing))
        _start_all(_Run(configuration, stack, say))
    except BaseException:
        stop_stack(paths)
        raise
    return configuration


def check_disk_space(paths: Paths) -> None:
    """Raise DiskFull if the disk of the stack's folder has too little free space for a start."""
    folder = paths.home
    needed = LATER_START_MEGABYTES if (folder / "airflow" / "prepared.json").exists() else FIRST_START_MEGABYTES
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed:
        raise DiskFull(
            f"Only {free} MB are free on the disk of {paths.home}; starting needs {needed} MB. "
            "Free some space, or set COINWATCH_LOCAL_DIR to a folder on another disk."
        )


def _find_grafana(configuration: Configuration, say: Say, missing: list[str]) -> grafana.Grafana | None:
    try:
        return grafana.find_grafana(configuration, say)
    except grafana.NoGrafana as reason:
        missing.append(f"Grafana is not started: {reason}.")
        say(missing[-1])
        return None


def _prepare_tools(configuration: Configuration, found: grafana.Grafana | None, say: Say) -> Tools:
    if found:
        grafana.prepare_grafana(configuration)
    node = modules = None
    if configuration.runs_statsd or configuration.runs_mail_catcher or _has_asset_script(configuration):
        node = find_node()
        say("checking the npm packages")
        modules = install_packages(configuration, node)
        build_web_assets(configuration, node)
    return Tools(
        postgres=prepare_postgres(configuration) if configuration.runs_postgres else None,
        node=node,
        node_modules=modules,
        grafana=found,
    )


def _has_asset_script(configuration: Configuration) -> bool:
    return (configuration.paths.project / "plugins" / "coinwatch" / "web" / "build_assets.sh").is_file()


def _start_all(run: _Run) -> None:
    """Run independent steps in parallel; the first failure stops all of them."""
    paths = run.paths
    for folder in ("graphite", "mail", "coinnews", "airflow", "grafana"):
        (paths.home / folder).mkdir(mode=0o700, exist_ok=True)
    programs = [write_specification(paths, service) for service in run.stack.services.values()]
    configuration_file = supervisor.write_configuration(paths, programs)
    supervisor.start_supervisor(paths, configuration_file, server_environment(run.configuration))

    with ThreadPoolExecutor(max_workers=16, thread_name_prefix="start") as pool:
        try:
            database = pool.submit(_start_databases, run, pool)
            metrics = pool.submit(_start_metrics, run)
            others = [pool.submit(_start_and_wait, run, name) for name in ("mail", "coinnews") if _has(run, name)]
            _all_of([database, metrics, *others])
            rest = [pool.submit(_start_and_wait, run, name) for name in _rest(run)]
            _all_of([*rest, pool.submit(_start_scheduler, run), pool.submit(_probe_exchanges, run)])
            _wait_for_dag(run)
        except BaseException:
            run.abandoned.set()
            stop_stack(paths)  # also terminates commands that other steps are waiting for
            raise


def _start_databases(run: _Run, pool: ThreadPoolExecutor) -> None:
    if _has(run, "postgres"):
        _start_and_wait(run, "postgres")
    steps = [pool.submit(_prepare_coinwatch_database, run), pool.submit(_prepare_airflow_database, run)]
    _all_of(steps)


def _prepare_coinwatch_database(run: _Run) -> None:
    prepare_database(run.configuration)
    _progress(run, "Database", "coinwatch schema is up to date")


def _prepare_airflow_database(run: _Run) -> None:
    if _has(run, "postgres") and "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in run.configuration.user_settings:
        configuration = run.configuration
        create_airflow_database(
            configuration.superuser_url("postgres"), configuration.user_settings["COINWATCH_AIRFLOW_DATABASE_PASSWORD"]
        )
    airflow.prepare_airflow(run.configuration)
    _progress(run, "Database", "Airflow schema is up to date")


def _start_metrics(run: _Run) -> None:
    if run.configuration.runs_graphite:
        graphite.prepare_graphite(run.configuration)
    for name in ("carbon", "graphite", "statsd"):
        if _has(run, name):
            _start_and_wait(run, name)


def _start_scheduler(run: _Run) -> None:
    """Start the scheduler after the api-server, without which tasks wait for seconds and then fail."""
    _start_and_wait(run, "airflow-api-server")
    _start_and_wait(run, "airflow-scheduler")


def _probe_exchanges(run: _Run) -> None:
    """Show which public exchanges are reachable, at the first start only."""
    done = run.paths.home / "exchanges-probed"
    if done.exists():
        return
    command: list[str | Path] = [run.paths.bin / "coinwatch", "exchanges", "probe"]
    environment = server_environment(run.configuration, application_settings(run.configuration, "DATABASE_URL"))
    output = run_command(run.paths, "probe", command, environment, seconds=120)
    run.say("reachable exchanges (check again with: coinwatch exchanges probe):")
    for line in output.splitlines():
        run.say(f"  {line}")
    done.touch()


def _start_and_wait(run: _Run, name: str) -> None:
    service = run.stack.services[name]
    supervisor.start_program(run.paths, name)
    _wait_until_ready(run, service)
    _progress(run, service.title, f"ready  {service.address}".rstrip())


def _wait_until_ready(run: _Run, service: Service) -> None:
    deadline = time.monotonic() + service.ready_seconds
    crashes, last_pid = 0, 0
    while True:
        state = supervisor.read_states(run.paths)[service.name]
        reason = run_check(service.check, state.started)
        if reason is None and state.state in ("RUNNING", "STARTING"):
            return
        if run.abandoned.is_set():
            raise StackError(f"{service.title} was interrupted because another service failed.")
        if state.pid and state.pid != last_pid:
            crashes, last_pid = crashes + 1, state.pid
        if reason and LOGIN_REJECTED in reason:  # retrying does not help
            raise _failure(run.paths, service, reason)
        if state.state == "FATAL" or crashes > MAX_CRASHES:
            raise _failure(run.paths, service, "it keeps crashing")
        if time.monotonic() > deadline:
            raise _failure(run.paths, service, f"not ready after {service.ready_seconds:.0f} s: {reason}")
        run.abandoned.wait(0.25)


def _wait_for_dag(run: _Run) -> None:
    url = airflow.sqlalchemy_url(run.configuration.airflow_database)
    deadline = time.monotonic() + 90
    while reason := check_dag(url, airflow.DAG_ID):
        if "cannot be imported" in reason or time.monotonic() > deadline:
            raise StackError(f"Airflow is running, but {reason}. See {run.paths.logs / 'airflow-dag-processor.log'}")
        time.sleep(0.5)
    _progress(run, "DAG", f"{airflow.DAG_ID} is parsed and active")


def _failure(paths: Paths, service: Service, outcome: str) -> StackError:
    log = paths.logs / f"{service.name}.log"
    return explain_failure(service.title, _tail(log), log, outcome)


def _tail(path: Path, size: int = 4000) -> str:
    try:
        return path.read_bytes()[-size:].decode(errors="replace")
    except OSError:
        return ""


def _all_of(futures: list[Future[None]]) -> None:
    """Wait until all are done or one has failed; re-raise the failure."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()


def _rest(run: _Run) -> list[str]:
    others = ("postgres", "carbon", "graphite", "statsd", "mail", "coinnews", "airflow-api-server", "airflow-scheduler")
    return [name for name in run.stack.services if name not in others]


def _has(run: _Run, name: str) -> bool:
    return name in run.stack.services


def _progress(run: _Run, title: str, text: str) -> None:
    run.say(f"{time.monotonic() - run.began:5.1f} s  {title:<22} {text}")
