"""Unmask starts on systems other than this one: nothing that only POSIX has, and every text in a stated encoding."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog", "readline", "curses"}
POSIX_NAMES = {
    "os": r"pread\w*|pwrite\w*|readv|writev|fork\w*|get(e?[ug]id|pgid|loadavg)|mkfifo|mknod|killpg|set\w*id|nice"
    r"|sched_\w+|l?chown|fchown|f?statvfs|sendfile|posix_\w+|wait[34]?|waitid|W[A-Z]+"
    r"|O_(NONBLOCK|NOFOLLOW|DIRECTORY|CLOEXEC|SYNC)",
    "signal": r"SIG(KILL|STOP|CONT|HUP|USR[12]|ALRM|CHLD|PIPE|QUIT|TSTP)|alarm|setitimer|pause|pthread_\w+|sigwait\w*",
    "time": r"clock_\w+|tzset",
}
OTHER_OPENS = {"av", "Image", "os", "wave", "tarfile", "zipfile"}


def sources(repo_root: Path) -> Iterator[tuple[str, str]]:
    for package in ("app", "detector", "train"):
        for path in sorted((repo_root / package).rglob("*.py")):
            yield path.relative_to(repo_root).as_posix(), path.read_text(encoding="utf-8")


def test_no_name_that_only_posix_has(repo_root: Path) -> None:
    found = []
    for name, text in sources(repo_root):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                found += [f"{name}: import {module}" for module in modules if module.split(".")[0] in POSIX_MODULES]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                only = re.fullmatch(POSIX_NAMES.get(node.value.id, "(?!)"), node.attr)
                # asked for first, it may be used
                if only and f'hasattr({node.value.id}, "{node.attr}")' not in text:
                    found.append(f"{name}: {node.value.id}.{node.attr}")
            elif isinstance(node, ast.Constant) and node.value in ("fork", "forkserver"):
                found.append(f"{name}: {node.value!r}")
    assert found == []


def test_no_text_in_the_encoding_of_the_machine(repo_root: Path) -> None:
    """Windows would read and write cp1252, and no file could be taken from one machine to the other."""
    found = []
    for name, text in sources(repo_root):
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            if not isinstance(call.func, ast.Attribute) or any(k.arg == "encoding" for k in call.keywords):
                continue
            modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            library = isinstance(call.func.value, ast.Name) and call.func.value.id in OTHER_OPENS
            opens = call.func.attr == "open" and bool(modes) and not any("b" in mode for mode in modes) and not library
            if opens or call.func.attr in ("read_text", "write_text"):
                found.append(f"{name}:{call.lineno}")
    assert found == []


@pytest.mark.slow
def test_packages_are_imported_without_what_only_posix_has(repo_root: Path) -> None:
    code = f"""
import builtins, importlib, os, pkgutil
ours, barred = ("app", "detector", "train"), {sorted(POSIX_MODULES)}
usual = builtins.__import__

def some(name, globals=None, locals=None, fromlist=(), level=0):
    if name.split(".")[0] in barred and str((globals or {{}}).get("__name__")).split(".")[0] in ours:
        raise ModuleNotFoundError(f"No module named {{name!r}}")
    return usual(name, globals, locals, fromlist, level)

builtins.__import__ = some
for lacking in ("pread", "sched_getaffinity", "sched_setaffinity"):
    delattr(os, lacking)
import detector, train
found = [m.name for p in (detector, train) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
for name in found:
    importlib.import_module(name)
from detector.runtime import available_cores
print(len(found), available_cores())
"""
    if sys.platform != "linux":
        pytest.skip("skipped: what is taken away here is there on Linux")
    done = subprocess.run([sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    modules, cores = map(int, done.stdout.split()[-2:])
    assert modules > 100 and cores >= 1
