"""How tests are written: each tells one behaviour, and a module that moves takes its patches along."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MOST_LINES = 60
PATCHING = {"setattr", "delattr", "setitem", "delitem", "patch"}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path.relative_to(TESTS).as_posix(), node


def patched_by_a_path(source: str) -> list[int]:
    """Lines that patch something by a string such as "package.module.name", which no move of the module follows."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATCHING:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.JoinedStr) or (isinstance(first, ast.Constant) and "." in str(first.value)):
                found.append(node.lineno)
    return found


def test_nothing_is_patched_by_a_string() -> None:
    for path in sorted(TESTS.rglob("*.py")):
        lines = patched_by_a_path(path.read_text(encoding="utf-8"))
        assert not lines, f"{path.relative_to(TESTS)}, lines {lines}: patch the attribute of an object"


def test_a_patch_by_a_string_would_be_seen() -> None:
    source = 'patch.setattr("a.b.c", 1)\npatch.setattr(f"{a}.c", 1)\npatch.setattr(a.b, "c", 1)\nsetattr(a, "c", 1)'
    assert patched_by_a_path(source) == [1, 2]


def test_no_test_is_a_scenario() -> None:
    long = [
        f"{path}: {node.name} has {lines} lines"
        for path, node in functions()
        if node.name.startswith("test_") and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES
    ]
    assert not long, "cut into behaviours that can be told apart when they fail"
