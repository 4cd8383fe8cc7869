"""The plans that Postgres executed for the library's queries, as reported by auto_explain."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from coinwatch.database import create_engine

SETTINGS = {
    "log_min_duration": "0",
    "log_analyze": "on",
    "log_timing": "off",
    "log_format": "json",
    "log_level": "notice",
}


@dataclass
class Plans:
    """The tables (or partitions) in the plans of one call, by how they were read.

    ``executed`` leaves out the parts of a plan that were never run; ``rows`` counts the rows that scans returned, and
    ``filtered`` those that scans read and then discarded; ``index_only_scanned`` holds the tables whose index-only
    scans never had to visit the heap.
    """

    planned: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    sequentially_scanned: set[str] = field(default_factory=set)
    index_only_scanned: set[str] = field(default_factory=set)
    rows: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)

    def add(self, node: dict[str, Any]) -> None:
        if name := node.get("Relation Name"):
            self.planned.add(name)
            if node["Actual Loops"]:
                self.executed.add(name)
                self.rows[name] += round(node["Actual Rows"] * node["Actual Loops"])
                self.filtered[name] += round(node.get("Rows Removed by Filter", 0) * node["Actual Loops"])
                if node["Node Type"] == "Seq Scan":
                    self.sequentially_scanned.add(name)
                if node["Node Type"] == "Index Only Scan" and not node["Heap Fetches"]:
                    self.index_only_scanned.add(name)
        for child in node.get("Plans", []):
            self.add(child)


@contextmanager
def explain_engine(admin_url: str, url: str) -> Iterator[tuple[sa.Engine, Callable[[Callable[[], object]], Plans]]]:
    """An engine, and a function that runs a call and returns the plans of its queries."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("LOAD 'auto_explain'")
        name = sql.Identifier(admin.info.dbname)
        admin.execute(sql.SQL("ALTER DATABASE {} SET session_preload_libraries = 'auto_explain'").format(name))
        for key, value in SETTINGS.items():
            setting = sql.Identifier("auto_explain", key)
            admin.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, setting, sql.Literal(value)))
    messages: list[str] = []
    engine = create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def listen(connection: psycopg.Connection[Any], _: object) -> None:
        connection.add_notice_handler(lambda notice: messages.append(notice.message_primary or ""))

    def plans_of(call: Callable[[], object]) -> Plans:
        messages.clear()
        call()
        plans = Plans()
        for text in messages:
            if "plan:" in text:
                plans.add(json.loads(text.partition("plan:")[2])["Plan"])
        return plans

    yield engine, plans_of
    engine.dispose()
