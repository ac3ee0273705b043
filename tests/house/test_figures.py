"""The figures of a checkout are those of its files."""

from pathlib import Path

import pytest

from tests.house.figures import figures, main


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in {
        "detector/__init__.py": "A = 1\n",
        "detector/deep/one.py": "from detector import A\n\n\ndef f() -> int:\n    return A\n",
        "train/__init__.py": "",
        "train/top.py": "import os\n\nfrom detector.deep.one import f\n",
        "app/page.py": "from detector import A\nfrom detector.deep import one\n",
        "README.md": "# A\n\ntext\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_files_lines_functions_and_arrows_are_counted(checkout: Path) -> None:
    shown = figures(checkout, times=1)
    assert shown.pop("import detector").endswith("CPU-s, median of 1")
    assert shown == {
        "files at the top of train/": "2",
        "lines at the top of train/": "3",
        "lines of code": "11 in 5 files",
        "longest file": "5 lines, detector/deep/one.py",
        "longest function": "2 lines, detector/deep/one.py:f",
        "imports between folders": "4 by 4 arrows",
        "README.md": "10 bytes, 3 lines",
    }


def test_each_checkout_is_a_column(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(checkout), str(checkout)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count(checkout.name) == 2
    assert "| longest file | 5 lines, detector/deep/one.py | 5 lines, detector/deep/one.py |" in lines
