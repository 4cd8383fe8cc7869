"""The .env file: the user's settings, the secrets made at first start, and the addresses of our own services.

The secrets are written once, below the user's lines, and are the user's to change. The addresses stand in a block that
every start writes anew, so that commands such as ``coinwatch prices`` find the stack; they are never taken for settings
of the user's. The process's environment wins over the file.
"""

import os
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError
from local.layout import write_private

BLOCK_BEGIN = "# --- addresses of the local stack: written by local_run.sh at every start, do not edit ---"
BLOCK_END = "# --- end of the addresses ---"
SECRETS_HEADING = "# Made by local_run.sh at first start. Whoever reads this file can read and change everything."

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
EXAMPLE = re.compile(
    r"change[-_ ]?me.*|changeit|example.*|secret|password|passwort|admin|test|todo|dummy|your[-_ ].*|my[-_ ]?secret.*"
    r"|<.*>|x{3,}|\.{3,}|replace.*|insert.*|1234.*",
    re.IGNORECASE,
)


def _token() -> str:
    return secrets.token_urlsafe(32)


def _long_token() -> str:
    """SHA-512, with which Airflow signs, wants a key of 64 bytes."""
    return secrets.token_urlsafe(64)


def _password() -> str:
    return secrets.token_urlsafe(15)


def _fernet_key() -> str:
    return urlsafe_b64encode(os.urandom(32)).decode()


@dataclass(frozen=True)
class Secret:
    """A generated value: how it is made, and how short a value of the user's own may be (characters)."""

    make: Callable[[], str]
    shortest: int


SECRETS: dict[str, Secret] = {
    "COINWATCH_SECRET_KEY": Secret(_token, 16),
    "COINWATCH_API_TOKEN": Secret(_token, 16),
    "COINWATCH_POSTGRES_PASSWORD": Secret(_token, 8),
    "COINWATCH_DATABASE_OWNER_PASSWORD": Secret(_token, 8),
    "COINWATCH_DATABASE_APP_PASSWORD": Secret(_token, 8),
    "COINWATCH_DATABASE_READER_PASSWORD": Secret(_token, 8),
    "COINWATCH_AIRFLOW_DATABASE_PASSWORD": Secret(_token, 8),
    "COINWATCH_AIRFLOW_ADMIN_PASSWORD": Secret(_password, 8),
    "COINWATCH_GRAFANA_ADMIN_PASSWORD": Secret(_password, 8),
    "COINWATCH_GRAFANA_SECRET_KEY": Secret(_token, 16),
    "COINWATCH_GRAPHITE_SECRET_KEY": Secret(_token, 16),
    "AIRFLOW__CORE__FERNET_KEY": Secret(_fernet_key, 32),
    "AIRFLOW__API__SECRET_KEY": Secret(_token, 16),
    "AIRFLOW__API_AUTH__JWT_SECRET": Secret(_long_token, 16),
}


@dataclass(frozen=True)
class EnvironmentFile:
    """What the file says and what the process's environment adds.

    ``chosen`` is what the user set (environment before file), secrets included; ``generated`` is the block of the last
    start.
    """

    path: Path
    chosen: Mapping[str, str]
    generated: Mapping[str, str]

    def get(self, name: str, default: str = "") -> str:
        """The user's value of a setting, or ``default`` when it is not set or empty."""
        return self.chosen.get(name) or default


def read_environment(path: Path, environment: Mapping[str, str]) -> EnvironmentFile:
    """Read ``path`` (which may be missing). A variable that holds what our block says is ours, not the user's."""
    own, generated = _parse(_text(path), path)
    prefixes = ("COINWATCH_", "AIRFLOW_", "GF_")
    chosen = {name: value for name, value in environment.items() if name.startswith(prefixes)}
    chosen = {name: value for name, value in chosen.items() if value != generated.get(name)}
    return EnvironmentFile(path, {**own, **chosen}, generated)


def ensure_secrets(file: EnvironmentFile) -> EnvironmentFile:
    """Add the secrets that are missing to the file (mode 0600); refuse an empty, short or example one, naming it."""
    for name, secret in SECRETS.items():
        if name in file.chosen:
            _check(name, file.chosen[name], secret, file.path)
    new = {name: secret.make() for name, secret in SECRETS.items() if name not in file.chosen}
    if new:
        lines = [f"{name}={value}" for name, value in new.items()]
        text = _without_block(_text(file.path))
        heading = [] if SECRETS_HEADING in text else [SECRETS_HEADING]
        before = text.rstrip("\n")
        _write(file.path, "\n".join(([before, ""] if before else []) + heading + lines) + "\n")
    elif file.path.exists():
        file.path.chmod(0o600)
    return EnvironmentFile(file.path, {**file.chosen, **new}, file.generated)


def write_addresses(file: EnvironmentFile, addresses: Mapping[str, str]) -> None:
    """Write the block of generated addresses anew; a name that the user set is left to the user's line."""
    text = _without_block(_text(file.path)).rstrip("\n")
    block = [BLOCK_BEGIN]
    block += [f"{name}={_quoted(value)}" for name, value in addresses.items() if name not in file.chosen]
    block += [BLOCK_END]
    _write(file.path, text + "\n\n" + "\n".join(block) + "\n")


def _check(name: str, value: str, secret: Secret, path: Path) -> None:
    advice = f"Set it to a random value, or remove it from {path} and the environment, and one is made."
    if not value.strip():
        raise StackError(f"{name} is empty. {advice}")
    if EXAMPLE.fullmatch(value.strip()):
        raise StackError(f"{name} holds an example value. {advice}")
    if len(value.strip()) < secret.shortest:
        raise StackError(f"{name} has {len(value.strip())} characters, it needs at least {secret.shortest}. {advice}")


def _parse(text: str, path: Path) -> tuple[dict[str, str], dict[str, str]]:
    own: dict[str, str] = {}
    generated: dict[str, str] = {}
    target = own
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() in (BLOCK_BEGIN, BLOCK_END):
            target = generated if line.strip() == BLOCK_BEGIN else own
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.match(line)
        if match is None:
            raise StackError(f"Line {number} of {path} is not NAME=value: {line.split('=')[0][:40]!r}. Correct it.")
        target[match[1]] = _unquoted(match[2])
    return own, generated


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return re.sub(r"\s+#.*$", "", value)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[\s#]", value) else value


def _without_block(text: str) -> str:
    pattern = re.escape(BLOCK_BEGIN) + r".*?(?:" + re.escape(BLOCK_END) + r"\n?|\Z)"
    return re.sub(pattern, "", text, flags=re.DOTALL)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except PermissionError:
        raise StackError(f"{path} cannot be read by you; it belongs to another user.") from None


def _write(path: Path, text: str) -> None:
    """Replace the file at once and with mode 0600 from the first byte on: a full disk must not leave half a file."""
    temporary = path.with_name(path.name + ".new")
    try:
        write_private(temporary, text)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
