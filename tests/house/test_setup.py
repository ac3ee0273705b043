"""What `make` does before it starts anything: .ci/setup.sh, with a stand-in for Python that notes how it is called."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

# Notes its arguments; `-m venv DIR` makes DIR with a copy of itself; $DENY, a pattern, says what fails.
STAND_IN = """#!/bin/bash
echo "$*" >>"$CALLS"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
case "$*" in $DENY) exit 1 ;; esac
"""

TOOLS = ("bash", "cat", "cp", "dirname", "grep", "id", "mkdir", "rm", "sed", "sha256sum", "shasum", "timeout")


class Checkout:
    """A folder with the set-up script and what it reads, and a PATH that has little but the stand-in."""

    def __init__(self, folder: Path, repo_root: Path) -> None:
        self.folder = folder / "checkout"
        self.tools = folder / "tools"
        self.calls = folder / "calls"
        (self.folder / ".ci").mkdir(parents=True)
        self.tools.mkdir()
        for name in ("requirements.txt", "pyproject.toml", ".ci/setup.sh"):
            shutil.copy(repo_root / name, self.folder / name)
        # the machine's own nvidia-smi and browsers must not decide the test
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.tools / tool).symlink_to(found)
        self.add_tool("uname", "#!/bin/bash\necho Linux\n")
        self.add_tool("python3", STAND_IN)

    def add_tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, want: str, deny: str = "nothing") -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Runs the set-up; its result, and the calls of Python that it made."""
        self.calls.write_text("")
        done = subprocess.run(
            [self.tools / "bash", self.folder / ".ci" / "setup.sh", want],
            env={"PATH": str(self.tools), "CALLS": str(self.calls), "DENY": deny, "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done, self.calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path, repo_root: Path) -> Checkout:
    return Checkout(tmp_path, repo_root)


def test_without_gpu_the_cpu_builds_come_first_and_the_default_index_after(checkout: Checkout) -> None:
    done, calls = checkout.run("app")
    assert done.returncode == 0, done.stderr
    installs = [call for call in calls if " pip install " in call]
    assert len(installs) == 2
    assert "--index-url https://download.pytorch.org/whl/cpu" in installs[0]
    assert re.search(r"--timeout 5 --retries 0 .*torch==[\d.]+\+cpu torchvision==[\d.]+\+cpu", installs[0])
    assert "-r requirements.txt" in installs[1]
    assert "--index-url" not in installs[1]


def test_cpu_builds_out_of_reach_are_said_and_survived(checkout: Checkout) -> None:
    done, calls = checkout.run("app", deny="*+cpu*")
    assert done.returncode == 0, done.stderr
    assert "cannot be had" in done.stdout
    assert any("-r requirements.txt" in call for call in calls)


def test_with_gpu_the_cpu_builds_are_not_asked_for(checkout: Checkout) -> None:
    checkout.add_tool("nvidia-smi", "#!/bin/bash\necho 'GPU 0: made up'\n")
    _, calls = checkout.run("app")
    assert not any("whl/cpu" in call for call in calls)


def test_a_second_run_does_nothing_until_the_requirements_change(checkout: Checkout) -> None:
    checkout.run("app")
    done, calls = checkout.run("app")
    assert (done.returncode, done.stdout, calls) == (0, "", [])
    with (checkout.folder / "requirements.txt").open("a") as requirements:
        requirements.write("# changed\n")
    _, calls = checkout.run("app")
    assert any("-r requirements.txt" in call for call in calls)


def test_a_failed_installation_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    done, _ = checkout.run("app", deny="*requirements.txt*")
    assert done.returncode == 1
    assert "the installation failed" in done.stderr
    _, calls = checkout.run("app")
    assert any("-r requirements.txt" in call for call in calls)


def test_an_old_python_gets_one_clear_line(checkout: Checkout) -> None:
    done, calls = checkout.run("app", deny="*version_info*")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not any("pip" in call for call in calls)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps browsers outside PATH, where the set-up looks too")
def test_tests_without_any_browser_fail_with_one_clear_line(checkout: Checkout) -> None:
    done, _ = checkout.run("dev", deny="*playwright*")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the tests need Chromium" in done.stderr


def test_a_browser_on_the_system_is_used(checkout: Checkout) -> None:
    checkout.add_tool("google-chrome", "#!/bin/bash\n")
    done, _ = checkout.run("dev")
    assert done.returncode == 0, done.stderr
    assert (checkout.folder / ".venv" / "chromium").read_text().strip() == str(checkout.tools / "google-chrome")
    assert checkout.run("app")[1] == []  # what the tests need holds what the app needs


def test_exact_pins_are_what_is_installed(repo_root: Path) -> None:
    pins = re.findall(r"^([a-z0-9-]+)==([0-9.]+)$", (repo_root / "requirements.txt").read_text(), re.MULTILINE)
    assert {"torch", "torchvision", "numpy", "opencv-python-headless", "scikit-learn"} <= {name for name, _ in pins}
    assert {name: version(name).split("+")[0] for name, _ in pins} == dict(pins)


@pytest.mark.parametrize("name", [".ci/run", ".ci/setup.sh"])
def test_shell_scripts_parse(repo_root: Path, name: str) -> None:
    subprocess.run(["bash", "-n", repo_root / name], check=True)
    if name == ".ci/run":
        assert os.access(repo_root / name, os.X_OK)
