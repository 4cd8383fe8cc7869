"""A stack whose tasks can't run is not ready."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from local.readiness import Check, check_execution_api, run_check

HEALTHY = '{"status": "healthy"}'
REPORT = '{"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-20T12:00:00+00:00"}}'
START_PAGE = "<!doctype html>"


@contextmanager
def airflow(pages: dict[str, str]) -> Iterator[str]:
    """A server with these pages; other paths get 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["/execution/", "/execution", "/airflow/execution/"])
def test_scheduler_is_ready_if_its_tasks_reach_airflow(path: str) -> None:
    pages = {"/api/v2/monitor/health": REPORT, f"{path.rstrip('/')}/health": HEALTHY}
    with airflow(pages) as url:
        assert run_check(Check("scheduler", (url, f"{url}{path}")), started=0) is None


@pytest.mark.parametrize("page", ["", START_PAGE, "[]", '{"status": "down"}'])
def test_scheduler_is_not_ready_if_its_tasks_get_another_page(page: str) -> None:
    with airflow({"/api/v2/monitor/health": REPORT, "/execution/health": page}) as url:
        reason = run_check(Check("scheduler", (url, f"{url}/execution/")), started=0)
    assert reason is not None
    assert f"tasks can't reach Airflow at {url}/execution/" in reason
    assert "AIRFLOW__CORE__EXECUTION_API_SERVER_URL" in reason


def test_unreachable_execution_api_is_reported() -> None:
    with airflow({}) as url:
        pass
    assert "can't reach" in str(check_execution_api(f"{url}/execution/"))
