"""Debian's Prometheus and Alertmanager, configured to be as fast as possible: every second, without waiting.

Prometheus evaluates the rules in ten groups in parallel. Every rule has its own name, by which Alertmanager groups, so
that each alert is sent in its own email.
"""

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.alertmanager.gauges import level_of
from benchmarks.shared.program import Program

GROUPS = 10
INTERVAL = "1s"


class Alertmanager(Program):
    name = "Alertmanager"
    binary = "prometheus-alertmanager"
    package = "prometheus-alertmanager"
    version = "0.25"
    smtp_port = 0

    def command(self) -> tuple[Sequence[str], dict[str, str]]:
        configuration = {
            "global": {
                "smtp_smarthost": f"127.0.0.1:{self.smtp_port}",
                "smtp_from": "alerts@coinwatch.test",
                "smtp_require_tls": False,
            },
            "route": {
                "receiver": "email",
                "group_by": ["alertname"],
                "group_wait": "0s",
                "group_interval": INTERVAL,
                "repeat_interval": "24h",
            },
            "receivers": [
                {"name": "email", "email_configs": [{"to": "user@example.org", "send_resolved": False}]},
            ],
        }
        path = self.folder / "alertmanager.yml"
        path.write_text(json.dumps(configuration))  # JSON is YAML
        return (
            f"--config.file={path}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ), {}

    @property
    def health(self) -> str:
        return "/-/ready"


class Prometheus(Program):
    name = "Prometheus"
    binary = "prometheus"
    package = "prometheus"
    version = "2.42"
    rules = 0
    gauges_port = 0
    alertmanager_port = 0

    def command(self) -> tuple[Sequence[str], dict[str, str]]:
        rules = self.folder / "rules.yml"
        rules.write_text(json.dumps({"groups": [self._group(number) for number in range(GROUPS)]}))
        configuration = {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "prices", "static_configs": [{"targets": [f"127.0.0.1:{self.gauges_port}"]}]}
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self.alertmanager_port}"]}]}]},
        }
        path = self.folder / "prometheus.yml"
        path.write_text(json.dumps(configuration))
        return (
            f"--config.file={path}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ), {}

    @property
    def health(self) -> str:
        return "/-/ready"

    def _group(self, number: int) -> dict[str, Any]:
        rules = []
        for rule in range(1 + number, self.rules + 1, GROUPS):
            instrument, level = level_of(rule)
            expression = f'price{{instrument="C{instrument}"}} >= {level}'
            rules.append({"alert": f"rule{rule}", "expr": expression, "labels": {"rule": str(rule)}})
        return {"name": f"group{number}", "rules": rules}

    def evaluation_seconds(self) -> float:
        """The sum of the last evaluation times of all groups."""
        lines = self.get("/metrics").text.splitlines()
        last = [line for line in lines if line.startswith("prometheus_rule_group_last_duration_seconds{")]
        return sum(float(line.rpartition(" ")[2]) for line in last)

    def firing(self) -> int:
        """Alerts that are pending or firing."""
        return len(self.get("/api/v1/alerts").json()["data"]["alerts"])

    def watches(self) -> bool:
        """Whether every group has been evaluated with prices."""
        answer = self.get("/api/v1/query", query="count(price)").json()["data"]["result"]
        evaluated = self.get("/metrics").text.count("prometheus_rule_group_last_duration_seconds{")
        return bool(answer) and evaluated == GROUPS
