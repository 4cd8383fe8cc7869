"""The plugin as Airflow loads it: one module, cheap to import, behind a login, harmless without a database."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
FRESH_AIRFLOW = """
import os, sys
os.environ.update(AIRFLOW__CORE__PLUGINS_FOLDER=sys.argv[1], AIRFLOW_HOME=sys.argv[2], COINWATCH_ENV_FILE=os.devnull)
"""
LOAD = (
    FRESH_AIRFLOW
    + """
before = dict(sys.modules)
from airflow import plugins_manager
airflow_alone = set(sys.modules)
plugins, errors = plugins_manager._get_plugins()
print("errors", errors)
print("ours", [plugin.name for plugin in plugins if plugin.name == "coinwatch"])
print("replaced", [name for name, module in before.items() if sys.modules.get(name) is not module])
print("stems", sorted(
    name for name, module in sys.modules.items()
    if "." not in name and str(getattr(module, "__file__", "")).startswith(sys.argv[1])
))
print("heavy", sorted(
    name for name in set(sys.modules) - airflow_alone
    if name.split(".")[0] in {"fastapi", "ccxt", "jinja2", "psycopg"} or name.startswith("coinwatch.")
))
"""
)
CALL = (
    FRESH_AIRFLOW
    + """
from airflow import plugins_manager
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
apps, _ = plugins_manager.get_fastapi_plugins()
[ours] = [app for app in apps if app["name"] == "coinwatch"]
app = Starlette(routes=[Mount(ours["url_prefix"], ours["app"])])
browser = TestClient(app, raise_server_exceptions=False)
import coinwatch_plugin
from coinwatch.web.middleware.access import PUBLIC_EVERYWHERE
for route in coinwatch_plugin.build_app().routes:
    for method in sorted((getattr(route, "methods", None) or {"GET"}) - {"HEAD"}):
        path = route.path.replace("{subscription_id}", "1").replace("/static", "/static/styles/coinwatch.css")
        path = path.replace("/stream", "/stream?events=none")
        status = browser.request(method, ours["url_prefix"] + path).status_code
        print("route", method, route.path, status, (method, route.path) in PUBLIC_EVERYWHERE)
print("health", browser.get("/coinwatch/health").json()["reason"])
"""
)

HEALTH = (
    FRESH_AIRFLOW
    + """
from airflow import plugins_manager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
_, middlewares = plugins_manager.get_fastapi_plugins()
[ours] = [item["middleware"] for item in middlewares if item["name"] == "coinwatch optional triggerer"]
def health(request):
    status = request.query_params.get("status")
    if status == "page":
        return PlainTextResponse("not JSON", 500)
    report = {"triggerer": {"status": status, "latest_triggerer_heartbeat": None}, "scheduler": {"status": None}}
    return JSONResponse(report)
routes = [Route("/api/v2/monitor/health", health), Route("/other", health)]
browser = TestClient(Starlette(routes=routes, middleware=[Middleware(ours)]))
for path in ("/api/v2/monitor/health", "/api/v2/monitor/health?status=unhealthy", "/other"):
    report = browser.get(path).json()
    print(path, report["triggerer"]["status"], report["scheduler"]["status"])
page = browser.get("/api/v2/monitor/health?status=page")
print("page", page.status_code, page.text)
"""
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of a fresh process with Airflow's plugin loader."""
    return dict(line.split(" ", 1) for line in run(LOAD, tmp_path_factory.mktemp("airflow")) if " " in line)


def run(script: str, home: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(PLUGINS), str(home)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_plugin_loads_without_errors(loaded: dict[str, str]) -> None:
    assert loaded["errors"] == "{}"
    assert loaded["ours"] == "['coinwatch']"


def test_library_modules_are_not_imported_as_top_level_modules(loaded: dict[str, str]) -> None:
    assert loaded["stems"] in {"['coinwatch_plugin']", "['coinwatch', 'coinwatch_plugin']"}
    assert loaded["replaced"] == "[]", "the loader overwrote a module"


def test_airflow_ignores_the_library() -> None:
    lines = (PLUGINS / ".airflowignore").read_text().splitlines()
    assert "coinwatch/" in lines


def test_ignored_modules_are_not_imported_by_airflow(tmp_path: Path) -> None:
    """The reason for the ignore list. If this fails, Airflow's loader has changed."""
    copy = tmp_path / "plugins"
    package = copy / "coinwatch"
    package.mkdir(parents=True)
    (package / "bare.py").write_text("")
    script = LOAD.replace('"." not in name and', '"." not in name and name == "bare" and')
    command = [sys.executable, "-W", "ignore", "-c", script, str(copy), str(tmp_path)]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert "stems ['bare']" in seen
    (copy / ".airflowignore").write_bytes((PLUGINS / ".airflowignore").read_bytes())
    seen = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert "stems []" in seen


def test_loading_the_plugin_avoids_heavy_imports(loaded: dict[str, str]) -> None:
    assert loaded["heavy"] == "[]", "every Airflow process imports these when it starts"


def test_mounted_app_denies_anonymous_requests_even_without_a_database(
    tmp_path: Path,
) -> None:
    lines = run(CALL, tmp_path)
    routes = [line.split(" ") for line in lines if line.startswith("route ")]
    assert len(routes) > 15
    for _, method, path, status, public in routes:
        assert (status == "401") is (public == "False"), (method, path, status)
    assert ["route", "GET", "/health", "503", "True"] in routes
    assert any(re.match("health A setting is missing", line) for line in lines)


def test_missing_triggerer_is_healthy_but_a_stopped_one_is_not(tmp_path: Path) -> None:
    assert [line for line in run(HEALTH, tmp_path) if line.startswith(("/", "page"))] == [
        "/api/v2/monitor/health healthy None",
        "/api/v2/monitor/health?status=unhealthy unhealthy None",
        "/other None None",
        "page 500 not JSON",
    ]
