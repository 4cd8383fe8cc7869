"""local/dotenv.py reads .env files as python-dotenv does, with which the library reads the same file."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv.main import DotEnv
from dotenv.parser import parse_stream
from hypothesis import example, given
from hypothesis import strategies as st

from local import dotenv
from local.dotenv import InvalidLine, parse_dotenv
from local.environment_file import ensure_secrets, quote_value, read_environment, write_addresses
from local.errors import StackError

PARTS = ["A", "B", "=", "export ", "${A}", "${B:-x}", "'", '"', "\\", "\\n", " #", "\n", " ", "\r\n", "\ufeff"]
TEXTS = st.text("AB_=\"'\\ #\n\r\t${}:-nxé", max_size=40) | st.lists(st.sampled_from(PARTS)).map("".join)


@given(TEXTS)
@example("A='it\\'s' # comment\nB=\"${A}\"")
@example("A = # nothing\nB=#1")
def test_values_are_those_of_python_dotenv(text: str) -> None:
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    valid = not any(binding.error or (binding.key and binding.value is None) for binding in bindings)
    try:
        found = parse_dotenv(text, dict(os.environ))
    except InvalidLine:
        assert not valid
    else:
        assert valid
        expected = DotEnv(None, stream=io.StringIO(text, newline="")).dict()
        assert found == {name: value for name, value in expected.items() if name is not None}


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1))
def test_written_addresses_are_read_back(value: str) -> None:
    quoted = f"A={quote_value(value)}\n"
    assert parse_dotenv(quoted, {"HOME": "/root"}) == {"A": value}
    assert DotEnv(None, stream=io.StringIO(quoted)).dict() == {"A": value}


def test_error_names_the_line_but_not_its_text(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n\nleaked-token\n")
    command = [sys.executable, "-I", dotenv.__file__, str(path)]
    done = subprocess.run(command, input=path.read_text(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Line 3 of {path} is not NAME=value.")
    assert "leaked" not in done.stderr


def test_line_numbers_do_not_depend_on_the_addresses(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write_addresses(ensure_secrets(read_environment(path, {})), {"COINWATCH_PUBLIC_URL": "http://127.0.0.1"})
    lines = path.read_text().count("\n")
    with path.open("a") as file:
        file.write("invalid\n")
    with pytest.raises(StackError, match=f"Line {lines + 1} of"):
        read_environment(path, {})
