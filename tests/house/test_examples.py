"""The notebook runs from top to bottom, and its cells say what they should."""

import json
from pathlib import Path
from typing import Any

import pytest


def test_the_notebook_runs(
    repo_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.loads((repo_root / "examples" / "unmask.ipynb").read_text())
    assert notebook["nbformat"] == 4 and len(notebook["cells"]) == 10
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "kept without outputs: they age"
    monkeypatch.chdir(repo_root / "examples")
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"<{cell['id']}>", "exec"), names)
    assert names["verdict"].band == "very_strong" and names["film"].persons
    assert names["heat"].heat.max() > 0
    assert '"band": "very_strong"' in capsys.readouterr().out
