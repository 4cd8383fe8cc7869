"""Grafana: found on this machine or downloaded with a pinned SHA-256, and provisioned from grafana/.

Grafana is not in any package registry. If it can be neither found nor downloaded, the stack runs without it, and
``find_grafana`` says why.
"""

import hashlib
import os
import platform
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from grafana.copy_dashboards import copy_dashboards
from local.configuration import Configuration
from local.environments import server_environment
from local.errors import StackError

VERSION = "13.1.1"  # Grafana 13.2 removed PostgreSQL from its core
ADMIN = "admin"
# The URL of the build. The shorter oss/release URL has served an archive that does not match its published digest.
# These digests were pinned by two independent projects.
BUILD = "https://dl.grafana.com/grafana/release/13.1.1/grafana_13.1.1_29761037902_linux_{}.tar.gz"
DIGESTS = {
    "amd64": "e47443214da0de041ffb29633d0977ce31ba7c8c569f09974ef5294a8ce32f08",
    "arm64": "28ef74a3bd01fec42fc78b1b9583809f35035654adcbf333c5bba440f418c07d",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Grafana:
    """``home`` holds conf/ and public/."""

    binary: Path
    home: Path


class NoGrafana(Exception):
    """Grafana is not available; the text says why."""


def find_grafana(configuration: Configuration, say: Callable[[str], None]) -> Grafana:
    """Use GRAFANA_HOME, ``grafana`` on PATH, an earlier download, or download it. Raises NoGrafana."""
    user_settings = configuration.user_settings
    if user_settings.get("COINWATCH_GRAFANA", "").lower() in ("no", "off", "false", "0"):
        raise NoGrafana("disabled by COINWATCH_GRAFANA")
    home = os.environ.get("GRAFANA_HOME") or user_settings.get("GRAFANA_HOME", "")
    if home:
        return _in_home(Path(home)) or _fail(f"GRAFANA_HOME is {home}, which has no bin/grafana")
    on_path = shutil.which("grafana")
    if on_path:
        binary = Path(os.path.realpath(on_path))
        for candidate in (binary.parent.parent, Path("/usr/share/grafana")):
            if (candidate / "conf" / "defaults.ini").is_file():
                return Grafana(binary, candidate)
        raise NoGrafana(f"no conf/defaults.ini was found for {binary}; set GRAFANA_HOME to the folder that contains it")
    target = configuration.paths.project / ".local" / "tools" / f"grafana-{VERSION}"
    return _in_home(target) or _download(user_settings, target, say)


def grafana_command(configuration: Configuration, grafana: Grafana) -> list[str]:
    """The command of the Grafana server."""
    settings = configuration.paths.project / "grafana" / "grafana.ini"
    return [str(grafana.binary), "server", "--homepath", str(grafana.home), "--config", str(settings)]


def prepare_grafana(configuration: Configuration) -> None:
    """Copy the dashboards, with links to this stack's ports."""
    addresses = {"airflow_url": configuration.http("airflow"), "web_url": configuration.http("web")}
    dashboards_folder(configuration).parent.mkdir(mode=0o700, exist_ok=True)
    copy_dashboards(dashboards_folder(configuration), addresses)


def dashboards_folder(configuration: Configuration) -> Path:
    """Where the dashboards are copied to."""
    return configuration.paths.home / "grafana" / "dashboards"


def grafana_environment(configuration: Configuration) -> dict[str, str]:
    """Grafana's settings, and the variables used in grafana/: the reader's database and the URL of Graphite."""
    paths, user_settings = configuration.paths, configuration.user_settings
    data = paths.home / "grafana"
    reader = urlsplit(configuration.addresses["COINWATCH_DATABASE_READER_URL"])
    host = f"{reader.hostname}:{reader.port or 5432}"
    settings = {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(configuration.ports["grafana"]),
        "GF_PATHS_DATA": str(data),
        "GF_PATHS_LOGS": str(data / "log"),
        "GF_PATHS_PLUGINS": str(data / "plugins"),
        "GF_PATHS_PROVISIONING": str(paths.project / "grafana" / "provisioning"),
        "COINWATCH_GRAFANA_ADMIN_PASSWORD": user_settings["COINWATCH_GRAFANA_ADMIN_PASSWORD"],
        "COINWATCH_GRAFANA_SECRET_KEY": user_settings["COINWATCH_GRAFANA_SECRET_KEY"],
        "COINWATCH_DASHBOARDS": str(dashboards_folder(configuration)),
        "COINWATCH_GRAPHITE_URL": configuration.addresses.get("COINWATCH_GRAPHITE_URL", ""),
        "COINWATCH_DATABASE_READER_HOST": host,
        "COINWATCH_DATABASE_READER_NAME": reader.path.lstrip("/"),
        "COINWATCH_DATABASE_READER_USER": unquote(reader.username or ""),
        "COINWATCH_DATABASE_READER_PASSWORD": unquote(reader.password or ""),
        "COINWATCH_DATABASE_READER_SSLMODE": "disable" if configuration.local_database else "prefer",
    }
    own = {name: value for name, value in user_settings.items() if name.startswith("GF_")}
    return server_environment(configuration, {**settings, **own})


def _in_home(home: Path) -> Grafana | None:
    binary = home / "bin" / "grafana"
    return Grafana(binary, home) if os.access(binary, os.X_OK) else None


def _download(user_settings: Mapping[str, str], target: Path, say: Callable[[str], None]) -> Grafana:
    url, digest = _source(user_settings)
    archive = target.with_suffix(".tar.gz.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, archive.open("wb") as file:  # noqa: S310
            say(f"downloading Grafana {VERSION} (about 350 MB, once)")
            found, size = hashlib.sha256(), 0
            while chunk := response.read(1 << 20):
                found.update(chunk)
                file.write(chunk)
                size += len(chunk)
                if size // 50_000_000 > (size - len(chunk)) // 50_000_000:
                    say(f"  {size // 1_000_000} MB")
        if found.hexdigest() != digest:
            raise NoGrafana(f"{url} has the SHA-256 {found.hexdigest()}, not the pinned {digest}; it was discarded")
        return _unpack(archive, target)
    except urllib.error.URLError as error:
        raise NoGrafana(
            f"no `grafana` on PATH or in GRAFANA_HOME, and {urlsplit(url).hostname} is unreachable ({error.reason})"
        ) from None
    except (OSError, tarfile.TarError) as error:
        raise NoGrafana(f"the download of {url} failed ({error})") from None
    finally:
        archive.unlink(missing_ok=True)


def _source(user_settings: Mapping[str, str]) -> tuple[str, str]:
    """COINWATCH_GRAFANA_URL and COINWATCH_GRAFANA_SHA256 (a mirror or another version), or the pinned build."""
    url, digest = user_settings.get("COINWATCH_GRAFANA_URL", ""), user_settings.get("COINWATCH_GRAFANA_SHA256", "")
    if bool(url) != bool(digest):
        raise StackError("Set both COINWATCH_GRAFANA_URL and COINWATCH_GRAFANA_SHA256, or neither.")
    if url and not url.startswith("https://"):
        raise StackError(f"COINWATCH_GRAFANA_URL is {url!r}; it must start with https://.")
    if url:
        return url, digest.lower()
    architecture = ARCHITECTURES.get(platform.machine(), "")
    if architecture not in DIGESTS:
        raise NoGrafana(f"no Grafana is pinned for {platform.machine()}; put `grafana` on PATH")
    return BUILD.format(architecture), DIGESTS[architecture]


def _unpack(archive: Path, target: Path) -> Grafana:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial, filter="data")
    folders = [path for path in partial.iterdir() if path.is_dir()]
    folders[0].rename(target)
    shutil.rmtree(partial, ignore_errors=True)
    return _in_home(target) or _fail(f"{target} has no bin/grafana")


def _fail(reason: str) -> Grafana:
    raise NoGrafana(reason)
