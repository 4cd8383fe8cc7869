"""The stack's .env: secrets are generated once and validated; generated addresses are not user settings."""

import stat
from pathlib import Path

import pytest

from local.environment_file import SECRETS, ensure_secrets, read_environment, write_addresses
from local.errors import StackError


def test_secrets_are_generated_once(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    first = ensure_secrets(read_environment(path, {}))
    again = ensure_secrets(read_environment(path, {}))
    assert {name: first.user_settings[name] for name in SECRETS} == {
        name: again.user_settings[name] for name in SECRETS
    }
    assert len({first.user_settings[name] for name in SECRETS}) == len(SECRETS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_readable_by_others_is_restricted(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    ensure_secrets(read_environment(path, {}))
    path.chmod(0o644)
    ensure_secrets(read_environment(path, {}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("value", "problem"), [("", "is empty"), ("  ", "is empty"), ("change-me", "example"), ("Abc", "minimum")]
)
def test_empty_example_or_short_secret_is_rejected_by_name(tmp_path: Path, name: str, value: str, problem: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{name}={value}\n")
    with pytest.raises(StackError, match=rf"{name} .*{problem}"):
        ensure_secrets(read_environment(path, {}))
    with pytest.raises(StackError, match=rf"{name} .*{problem}"):
        ensure_secrets(read_environment(tmp_path / "none", {name: value}))


def test_user_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    mine = "# my notes\nexport COINWATCH_WEB_PORT=18001  # moved\nCOINWATCH_EMAIL_FROM='me <me@example.org>'\n"
    path.write_text(mine)
    file = ensure_secrets(read_environment(path, {}))
    write_addresses(file, {"COINWATCH_PUBLIC_URL": "http://127.0.0.1:18001"})
    assert path.read_text().startswith(mine)
    assert file.get("COINWATCH_WEB_PORT") == "18001"
    assert file.get("COINWATCH_EMAIL_FROM") == "me <me@example.org>"


def test_generated_addresses_are_not_user_settings(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    ours = {"COINWATCH_DATABASE_URL": "postgresql://a:b@127.0.0.1:15432/coinwatch"}
    write_addresses(ensure_secrets(read_environment(path, {})), ours)
    assert read_environment(path, {}).get("COINWATCH_DATABASE_URL") == ""
    sourced = read_environment(path, ours)  # as after: set -a; . ./.env
    assert sourced.get("COINWATCH_DATABASE_URL") == ""
    theirs = {"COINWATCH_DATABASE_URL": "postgresql://me@db.example.org/prices"}
    assert read_environment(path, theirs).get("COINWATCH_DATABASE_URL") == theirs["COINWATCH_DATABASE_URL"]


def test_address_block_is_rewritten_without_user_settings(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("COINWATCH_SMTP_URL=smtps://mail.example.org\n")
    for port in ("1", "2"):
        file = ensure_secrets(read_environment(path, {}))
        write_addresses(file, {"COINWATCH_STATSD_PORT": port, "COINWATCH_SMTP_URL": "smtp://127.0.0.1"})
    text = path.read_text()
    assert text.count("COINWATCH_STATSD_PORT=") == 1
    assert "COINWATCH_STATSD_PORT=2" in text
    assert text.count("COINWATCH_SMTP_URL=") == 1


def test_invalid_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("COINWATCH_WEB_PORT=1\nnot a setting\n")
    with pytest.raises(StackError, match="Line 2"):
        read_environment(path, {})
