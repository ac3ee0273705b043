"""The shape of the code: who imports whom, how fast `import detector` is, and that README's tree is true.

The rows are those of section 1 of the design: inside `detector` a module imports only from rows above it or its own,
without circles; `detector` knows neither `app` nor `train` nor Streamlit; `app` does not know `train`.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import detector

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("app", "detector", "train")

ROWS: tuple[tuple[str, ...], ...] = (
    (
        "types",
        "subjects",
        "rates",
        "schema",
        "words",
        "evidence",
        "steps",
        "stored",
        "child",
        "errors",
        "version",
        "palette",
        "clock",
        "console",
        "progress",
        "uploads",
    ),
    (
        *(
            "apart",
            "decoder",
            "media",
            "source",
            "sniff",
            "tiff",
            "pixels",
            "colour",
            "video",
            "wav",
            "movie",
            "drawing",
        ),
        *("provenance", "caught"),
        *("models", "manifest", "results", "weights", "calibration", "ensemble", "aggregate"),
    ),
    ("engine", "runtime", "converted"),
    ("faces", "explain"),
    ("judge", "persons", "resaved", "verdicts"),
    ("pipeline",),
    ("report", "paper", "takeaways", "casebook", "live", "annotate", "queue"),
    ("__main__", "installed", "api", "scan"),
)
"""First name below `detector` -> row. A new module needs a place here."""

PROGRAMS = {f"detector.{name}" for name in ROWS[-1]}


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file of every module of a package."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Every module that this one imports, anywhere in it, also inside functions and `if TYPE_CHECKING`."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]) if base else ".".join(above)
            for alias in node.names:
                # `from package import module` imports the module
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base


MODULES = {name: path for package in PROJECT for name, path in modules(package).items()}
IMPORTS = {name: sorted(set(imports(name, path, MODULES))) for name, path in MODULES.items()}
INSIDE = {name: [i for i in found if i in MODULES] for name, found in IMPORTS.items()}


def row(module: str) -> int:
    first = module.split(".")[1]
    for number, names in enumerate(ROWS):
        if first in names:
            return number
    raise AssertionError(f"{module} has no row: give it one in ROWS, after section 1 of the design")


def top(module: str) -> str:
    return module.split(".")[0]


def test_the_walk_sees_the_project() -> None:
    assert {"detector", "detector.types", "detector.explain.gradcam", "app", "train"} <= MODULES.keys()
    assert "detector.types" in INSIDE["detector.report"]
    # inside a function
    assert "detector.pipeline" in IMPORTS["detector.__main__"]


def test_detector_knows_neither_app_nor_train_nor_streamlit() -> None:
    for module, found in IMPORTS.items():
        if top(module) == "detector":
            assert not {top(i) for i in found} & {"app", "train", "streamlit"}, module


def test_app_does_not_know_train_and_train_does_not_know_app() -> None:
    for module, found in IMPORTS.items():
        if top(module) == "app":
            assert "train" not in {top(i) for i in found}, module
        if top(module) == "train":
            assert not {"app", "streamlit", "tests"} & {top(i) for i in found}, module


def test_app_uses_the_public_modules_of_detector_alone() -> None:
    public = set(detector.PUBLIC_MODULES)
    for module, found in INSIDE.items():
        if top(module) == "app":
            used = {i.split(".")[1] for i in found if i.startswith("detector.")}
            assert used <= public, f"{module} imports {sorted(used - public)}: make it public, or do without it"


def test_no_one_reaches_for_private_names_of_another_module() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and top(node.module) in PROJECT:
                private = [a.name for a in node.names if re.match(r"_(?!_)", a.name)]
                assert not private, f"{module} imports {private} from {node.module}"


def test_every_module_of_detector_imports_only_from_its_row_or_above() -> None:
    for module, found in INSIDE.items():
        # the package itself is the public surface: it names what is below it, lazily
        if top(module) != "detector" or module == "detector":
            continue
        for imported in found:
            if imported == "detector":
                assert module in PROGRAMS, f"{module} imports the public surface, which imports it"
            elif top(imported) == "detector":
                assert row(imported) <= row(module), f"{module} imports {imported} from a row below its own"


def test_nothing_imports_a_program() -> None:
    for module, found in INSIDE.items():
        assert not PROGRAMS & set(found), module


ROAD = ("recipes", "store", "measure", "learn", "data")
"""Folders of `train`, each importing those after it; the modules at the top of `train` are below them all."""
WINGS = ("gan", "temporal", "studies")
"""Folders that try what does not ship: they import the road, the road never imports them."""


def test_every_folder_of_train_is_road_or_wing() -> None:
    folders = {path.name for path in (ROOT / "train").iterdir() if (path / "__init__.py").is_file()}
    assert folders == {*ROAD, *WINGS}


def folder(module: str) -> str:
    """Of a module of `train`: the folder it lies in; "" at the top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or f"{module}.__init__" in MODULES or parts[-1] in (*ROAD, *WINGS) else ""


def test_the_road_never_imports_a_wing() -> None:
    for module, found in INSIDE.items():
        if top(module) == "train" and module != "train.__main__" and folder(module) not in WINGS:
            known = [i for i in found if top(i) == "train" and folder(i) in WINGS]
            assert not known, module


def test_each_folder_of_the_road_imports_only_those_after_it() -> None:
    order = [*ROAD, ""]
    for module, found in INSIDE.items():
        if top(module) == "train" and module != "train.__main__" and folder(module) in order:
            for imported in found:
                if top(imported) == "train" and folder(imported) in order:
                    assert order.index(folder(module)) <= order.index(folder(imported)), f"{module} imports {imported}"


def test_there_are_no_circles() -> None:
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done:
            return
        for imported in INSIDE[module]:
            if imported not in ("detector", module):
                visit(imported, (*trail, module))
        done.add(module)

    for module in MODULES:
        if module != "detector":
            visit(module, ())


TRAINS_WITH = {
    "torch", "torchvision", "timm", "sklearn", "safetensors", "PIL", "cv2", "matplotlib", "rich", "numpy",
    "scipy",  # scikit-learn's
    "tyro", "torchmetrics", "facenet_pytorch", "cattrs", "filelock", "jinja2",  # small and pure Python
}  # fmt: skip
"""What a machine needs that trains on pictures: neither video nor OpenVINO nor the page's packages."""


def imported_at_once(path: Path) -> set[str]:
    """What a module imports when it is itself imported: nothing inside functions or for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    kept = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found: set[str] = set()
    for node in kept:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            found |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in MODULES else node.module for a in node.names
            }
    return found


def test_training_on_pictures_needs_no_package_for_video_or_page() -> None:
    todo, seen, others = ["train.__main__"], set(), {}
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for found in imported_at_once(MODULES[module]):
            if found in MODULES:
                todo.append(found)
            elif top(found) not in sys.stdlib_module_names:
                others.setdefault(top(found), module)
    assert "train.recipes.cnn" in seen and "detector.faces.detect" in seen
    assert {p: m for p, m in others.items() if p not in TRAINS_WITH} == {}


def python_files() -> list[Path]:
    return [path for folder in (*PROJECT, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_nobody_edits_the_import_path() -> None:
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                pair = (node.value.id, node.attr)
                assert pair not in {("sys", "path"), ("site", "addsitedir")}, f"{path.name}, line {node.lineno}"
            if isinstance(node, ast.ImportFrom) and node.module == "sys":
                assert "path" not in {a.name for a in node.names}, f"{path.name}, line {node.lineno}"


def test_no_file_of_app_hides_a_module_of_python_or_of_a_package() -> None:
    """`streamlit run app/main.py` puts app/ first on the import path."""
    ours = {path.stem for path in (ROOT / "app").iterdir() if path.suffix == ".py" or path.is_dir()} - {"__init__"}
    others = {i.split(".")[0] for found in IMPORTS.values() for i in found} - set(PROJECT)
    assert not ours & (set(sys.stdlib_module_names) | others)


def test_import_detector_is_fast_and_leaves_torch_alone() -> None:
    # processor time: a busy machine must not fail it
    code = (
        "import sys, time; start = time.process_time(); import detector; seconds = time.process_time() - start; "
        "print(seconds, sorted({'torch', 'cv2', 'av', 'streamlit', 'facenet_pytorch', 'openvino'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, heavy = result.stdout.split(maxsplit=1)
    assert float(seconds) < 2.0
    assert heavy.strip() == "[]"


def test_the_public_surface_is_what_it_says() -> None:
    tree = ast.parse((ROOT / "detector/__init__.py").read_text(encoding="utf-8"))
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    named = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("detector")
        for alias in node.names
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == named


def tree_of(text: str) -> dict[str, bool]:
    """Path -> whether it is a folder, from the tree in a README."""
    blocks = [b for b in re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M) if re.search(r"^\W*detector/", b, re.M)]
    assert len(blocks) == 1, "README.md shows the project's tree in one fenced block"
    found: dict[str, bool] = {}
    # (indentation, folder) of the lines above that are still open
    trail: list[tuple[int, str]] = []
    for line in blocks[0].splitlines():
        # names stand before the first two spaces; what is inside follows the last folder of a line
        match = re.match(r"^([\s│├└─|`+-]*)((?:[\w.][\w./*-]*(?: |$))+)", f"{line} ")
        if not match:
            continue
        indent, names = len(match[1]), match[2].split()
        while trail and trail[-1][0] >= indent:
            trail.pop()
        above = "".join(folder for _, folder in trail)
        for name in names:
            found[f"{above}{name}".rstrip("/")] = name.endswith("/")
        if names[-1].endswith("/"):
            trail.append((indent, names[-1]))
    return found


@pytest.mark.parametrize(
    "block",
    [
        "app/          the page\n  views/      its parts\n    verify.py  the first\n  main.py\ndetector/\nMakefile",
        "├── app/\n│   ├── views/      its parts\n│   │   └── verify.py\n│   └── main.py\n├── detector/\n└── Makefile",
    ],
)
def test_the_tree_is_read_as_people_draw_it(block: str) -> None:
    assert tree_of(f"# Title\n\n```sh\nmake app\n```\n\n```text\n{block}\n```\n") == {
        "app": True,
        "app/views": True,
        "app/views/verify.py": False,
        "app/main.py": False,
        "detector": True,
        "Makefile": False,
    }


def tracked() -> list[Path]:
    """Files that belong to the project: in git, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip("skipped: not a git checkout")
    return [Path(name) for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_readme_shows_every_folder_and_nothing_that_is_not_there() -> None:
    if not (ROOT / "README.md").exists():
        pytest.skip("skipped: no README.md")
    tree = tree_of((ROOT / "README.md").read_text(encoding="utf-8"))
    folders = {
        parent.as_posix()
        for path in tracked()
        for parent in path.parents
        if parent.parts and not parent.parts[0].startswith(".")
    }
    shown = {path for path, is_folder in tree.items() if is_folder and not path.startswith(".")}
    assert folders - shown == set(), "folders that README's tree lacks"
    assert shown - folders == set(), "folders in README's tree that do not exist"
    for path, is_folder in tree.items():
        if not is_folder:
            assert list(ROOT.glob(path)), f"README's tree names {path}, which does not exist"
