"""The house in figures, one column a checkout: `python -m tests.house.figures [FOLDER ...]`.

    git worktree add /tmp/before COMMIT && python -m tests.house.figures /tmp/before .

Lines and files at the top of `train/`, the longest file and function, bytes of documents and manifest, imports between
folders, processor time of `import detector`. A time is of this machine as it is now: compare times of one call only.
"""

import ast
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from train.measure.tables import table

PROJECT = ("app", "detector", "train")
_CODE = "import time; start = time.process_time(); import detector; print(time.process_time() - start)"


def figures(root: Path, times: int = 5) -> dict[str, str]:
    """The figures of one checkout: name in words -> figure."""
    files = {path: path.read_text(encoding="utf-8") for name in PROJECT for path in sorted((root / name).rglob("*.py"))}
    at_top = [path for path in files if path.parent == root / "train"]
    longest = max(files, key=lambda path: files[path].count("\n"))
    length, function = max(_functions(root, files))
    arrows = _arrows(root, files)
    shown = {
        "files at the top of train/": str(len(at_top)),
        "lines at the top of train/": f"{sum(files[path].count(chr(10)) for path in at_top):,}",
        "lines of code": f"{sum(text.count(chr(10)) for text in files.values()):,} in {len(files)} files",
        "longest file": f"{files[longest].count(chr(10))} lines, {longest.relative_to(root)}",
        "longest function": f"{length} lines, {function}",
        "imports between folders": f"{sum(arrows.values()):,} by {len(arrows)} arrows",
    }
    for name in ("README.md", "weights/README.md", "train/README.md", "train/LOG.md", "weights/manifest.json"):
        path = root / name
        if path.is_file():
            shown[name] = f"{path.stat().st_size:,} bytes, {path.read_text().count(chr(10))} lines"
    seconds = [_import_time(root) for _ in range(times)]
    shown["import detector"] = f"{statistics.median(seconds):.3f} CPU-s, median of {times}"
    return shown


def _functions(root: Path, files: dict[Path, str]) -> list[tuple[int, str]]:
    return [
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(root)}:{node.name}")
        for path, text in files.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]


def _arrows(root: Path, files: dict[Path, str]) -> Counter[tuple[str, str]]:
    """(folder, folder) -> imports from the first into the second, of the project's own folders."""
    counts: Counter[tuple[str, str]] = Counter()
    for path, text in files.items():
        here = path.parent.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PROJECT:
                there = (node.module or "").replace(".", "/")
                folder = there if (root / there).is_dir() else there.rpartition("/")[0]
                if folder != here:
                    counts[here, folder] += 1
    return counts


def _import_time(root: Path) -> float:
    done = subprocess.run([sys.executable, "-c", _CODE], cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(argv: list[str]) -> None:
    """Prints a table in Markdown."""
    roots = [Path(name).resolve() for name in argv] or [Path(__file__).resolve().parents[2]]
    columns = [figures(root) for root in roots]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(column.get(name, "none") for column in columns)] for name in names]
    print("\n".join(table(["figure", *(root.name for root in roots)], rows)))


if __name__ == "__main__":
    main(sys.argv[1:])
