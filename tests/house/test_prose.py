"""How app, library and training are written: a first line says what comes back, and a name says what it holds."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_SO = ("app", "detector", "train")
EMPTY_NAMES = {"found", "kept", "made", "told"}
"""Names that say how a value came about and not what it is."""
ARGUMENTS_ELSEWHERE = {"train/recipes/evaluate.py", "train/recipes/publish.py"}
"""Files whose arguments still have such names."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for folder in WRITTEN_SO:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def _bound(node: ast.AST) -> str | None:
    """The name that a node binds: a variable or an argument; None for other nodes."""
    if isinstance(node, ast.arg):
        return node.arg
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None


def test_no_docstring_begins_with_what_and_no_noun() -> None:
    bare = [
        f"{name}: {text.splitlines()[0]}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and re.match(r"What\b", text := ast.get_docstring(node) or "")
    ]
    assert not bare, "begin with the noun of what comes back"


def test_no_name_says_only_how_a_value_came_about() -> None:
    empty = [
        f"{name}:{function.lineno} {name_of}"
        for name, tree in trees()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if (name_of := _bound(node)) in EMPTY_NAMES
        if not (isinstance(node, ast.arg) and name in ARGUMENTS_ELSEWHERE)
    ]
    assert not empty, "name what it holds"
