"""carbon, graphite-web and StatsD: their files under .local/graphite, and how they are called."""

import re
import shutil
from pathlib import Path

from local.commands import run_command
from local.configuration import LOOPBACK, Configuration, child_environment
from local.node import Node


def storage(configuration: Configuration) -> Path:
    return configuration.layout.home / "graphite"


def prepare_graphite(configuration: Configuration) -> None:
    """Copy the configuration with this stack's port into .local, create folders and tables."""
    source = configuration.layout.project / "graphite"
    target = storage(configuration) / "conf"
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.conf"):
        shutil.copyfile(path, target / path.name)
    text = (source / "carbon.conf").read_text()
    port = configuration.ports["carbon"]
    (target / "carbon.conf").write_text(
        re.sub(r"^LINE_RECEIVER_PORT = \d+$", f"LINE_RECEIVER_PORT = {port}", text, flags=re.MULTILINE)
    )
    run_command(
        configuration.layout,
        "graphite-prepare",
        [configuration.layout.python, source / "web" / "graphite_wsgi.py"],
        graphite_environment(configuration),
        directory=storage(configuration),
    )


def carbon_command(configuration: Configuration) -> list[str]:
    layout = configuration.layout
    script, conf = layout.bin / "carbon-cache.py", storage(configuration) / "conf" / "carbon.conf"
    options = [f"--config={conf}", f"--pidfile={carbon_pid_file(configuration)}", "--nodaemon", "start"]
    return [str(layout.python), str(script), *options]


def carbon_pid_file(configuration: Configuration) -> Path:
    return configuration.layout.run / "carbon.pid"


def web_command(configuration: Configuration) -> list[str]:
    options = ["--bind", f"{LOOPBACK}:{configuration.ports['graphite']}", "--workers", "1", "--threads", "4"]
    options += ["--worker-tmp-dir", str(configuration.layout.run), "--no-control-socket"]
    return [str(configuration.layout.python), "-m", "gunicorn", *options, "graphite_wsgi:application"]


def graphite_environment(configuration: Configuration) -> dict[str, str]:
    return child_environment(
        configuration,
        {
            "GRAPHITE_STORAGE_DIR": str(storage(configuration)),
            "GRAPHITE_CONF_DIR": str(storage(configuration) / "conf"),
            "GRAPHITE_SECRET_KEY": configuration.chosen["COINWATCH_GRAPHITE_SECRET_KEY"],
            # carbon imports code that an old protobuf compiler made wherever a protobuf is installed, as Airflow's is.
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
            "PYTHONPATH": str(configuration.layout.project / "graphite" / "web"),
        },
    )


def statsd_command(configuration: Configuration, node: Node, modules: Path) -> list[str]:
    folder = configuration.layout.project / "graphite" / "statsd"
    compatibility = ["--require", str(folder / "node_compatibility.js")]
    return [str(node.node), *compatibility, str(modules / "statsd" / "stats.js"), str(folder / "config.js")]


def statsd_environment(configuration: Configuration) -> dict[str, str]:
    """StatsD sends to our carbon, or to the user's where only that is theirs."""
    return child_environment(
        configuration,
        {
            "STATSD_FOLDER": str(configuration.layout.project / "graphite" / "statsd"),
            "STATSD_HOST": LOOPBACK,
            "STATSD_PORT": str(configuration.ports["statsd"]),
            "STATSD_ADMIN_PORT": str(configuration.ports["statsd admin"]),
            "STATSD_GAUGE_TTL": str(configuration.gauge_flushes),
            "CARBON_HOST": LOOPBACK
            if configuration.own_graphite
            else configuration.chosen.get("COINWATCH_CARBON_HOST", LOOPBACK),
            "CARBON_PORT": str(configuration.ports["carbon"]),
        },
    )
