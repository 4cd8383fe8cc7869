"""No test may pass without testing anything: loopholes that reviews have found before are searched for here."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
TESTS = Path(__file__).parents[1]
TREES = {path.relative_to(TESTS): ast.parse(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}


def nodes(kind: type[Node]) -> Iterator[tuple[Node, str]]:
    """Every node of a kind in tests/, with its file and line."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield node, f"{path}:{node.lineno}"


def test_no_assert_accepts_alternatives() -> None:
    """``assert a or b`` still passes if ``a`` breaks; assert the expected value in each case instead."""
    assert not [where for node, where in nodes(ast.Assert) for part in ast.walk(node) if isinstance(part, ast.Or)]


def test_expected_exceptions_are_specific() -> None:
    """``pytest.raises(Exception)`` also passes on a typo in the test."""
    calls = [(ast.unparse(node), where) for node, where in nodes(ast.Call)]
    assert not [where for call, where in calls if call.startswith(("pytest.raises(Exception", "pytest.raises(BaseE"))]


def test_test_modules_do_not_import_each_other() -> None:
    """Shared helpers belong in tests/support."""
    imports = [(node.module or "", where) for node, where in nodes(ast.ImportFrom)]
    assert not [where for module, where in imports if module.rpartition(".")[2].startswith("test_")]
