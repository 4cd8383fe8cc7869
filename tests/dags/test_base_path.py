"""Airflow's api-server below a path: its own apps and ours, with and without the path; what its log contains."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import json, os, sys
from types import SimpleNamespace
os.environ["AIRFLOW__API__BASE_URL"] = sys.argv[1]
os.environ["COINWATCH_ENV_FILE"] = os.devnull
from starlette.testclient import TestClient
from airflow.api_fastapi import app as api
from airflow.api_fastapi.common import http_access_log

log = []
http_access_log.logger = SimpleNamespace(info=lambda event, **values: log.append(values))
browser = TestClient(api.create_app(), base_url="https://home.example.org", follow_redirects=False)
found = {}
for path, accept in json.loads(sys.argv[2]):
    response = browser.get(path, headers={"Accept": accept})
    found[path] = [response.status_code, response.headers.get("location", ""), response.text[:300]]
print(json.dumps({"responses": found, "log": log}))
"""
PAGE = "text/html"
TOKEN = "a-very-secret-token"


def ask(base_url: str, *paths: str) -> tuple[dict[str, tuple[int, str, str]], list[dict[str, Any]]]:
    """Status, Location and text of pages of a new api-server, and its access log."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, base_url, json.dumps([(path, PAGE) for path in paths])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    return result["responses"], result["log"]


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("root", ["", "/airflow", "/a/b"])
def test_airflow_and_its_apps_work_with_and_without_the_path(root: str) -> None:
    inside = ["/execution/health", "/api/v2/monitor/health", "/coinwatch/health", "/coinwatch/", "/coinwatch", "/"]
    paths = [f"{sent}{path}" for sent in {"", root} for path in inside]
    responses, _ = ask(f"https://home.example.org{root}", *paths)
    for sent in {"", root}:
        assert json.loads(responses[f"{sent}/execution/health"][2]) == {"status": "healthy"}
        assert "metadatabase" in responses[f"{sent}/api/v2/monitor/health"][2]
        assert "A setting is missing" in json.loads(responses[f"{sent}/coinwatch/health"][2])["reason"]
        assert f'<base href="{root}/"' in responses[f"{sent}/"][2]
        login = f"{root}/api/v2/auth/login?next={root.replace('/', '%2F')}%2Fcoinwatch%2F"
        for path in ("/coinwatch/", "/coinwatch"):
            assert responses[f"{sent}{path}"][:2] == [303, login]


@pytest.mark.usefixtures("airflow_database")
def test_login_accepts_the_way_back_but_no_other_site() -> None:
    path = "/airflow/api/v2/auth/login?next=/airflow/coinwatch/coins/BTC"
    foreign = "/airflow/api/v2/auth/login?next=https://evil.test/coinwatch/"
    responses, _ = ask("https://home.example.org/airflow", path, foreign)
    status, location, _ = responses[path]
    assert status == 307
    assert location == "/airflow/auth/login?next=%2Fairflow%2Fcoinwatch%2Fcoins%2FBTC"
    assert responses[foreign][0] == 400


@pytest.mark.usefixtures("airflow_database")
def test_access_log_contains_no_tokens_and_addresses() -> None:
    secret = [
        f"/coinwatch/manage/{TOKEN}/history?before=1",
        f"/airflow/coinwatch/unsubscribe/{TOKEN}",
        f"/airflow/coinwatch/no/such/page/{TOKEN}",
        "/airflow/coinwatch/api/v1/subscribers?email=ada@example.org",
        f"/airflow/plugin/coinwatch/airflow/coinwatch/manage/{TOKEN}?email=ada@example.org",
        f"/airflow/api/v2/auth/login?next=%2Fairflow%2Fcoinwatch%2Fmanage%2F{TOKEN}",
    ]
    responses, log = ask("https://home.example.org/airflow", *secret, "/airflow/api/v2/dags?limit=5")
    assert [entry["path"] for entry in log] == [
        "/airflow/coinwatch/manage/{token}/{page:path}",
        "/airflow/coinwatch/unsubscribe/{token}",
        "/airflow/coinwatch/…",
        "/airflow/coinwatch/api/v1/subscribers",
        "/airflow/plugin/coinwatch/…",
        "/airflow/api/v2/auth/login",
        "/airflow/api/v2/dags",
    ]
    assert [entry["query"] for entry in log] == [""] * 6 + ["limit=5"]
    assert [responses[path][1] for path in secret[:2]] == [
        "/airflow/api/v2/auth/login?next=%2Fairflow%2Fcoinwatch%2F"
    ] * 2, "the way back contains no token either"
