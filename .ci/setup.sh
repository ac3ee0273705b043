#!/usr/bin/env bash
# Makes .venv: `setup.sh app` what the app needs, `setup.sh dev` also the test tools and a browser.
# Does nothing, in well under a second, when nothing that it depends on has changed since it last finished.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

want="${1:?usage: setup.sh app|dev}"
cpu_index="https://download.pytorch.org/whl/cpu"
python=.venv/bin/python

say() { printf '%s\n' "unmask: $*"; }
die() { printf '%s\n' "unmask: $*" >&2; exit 1; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && is_recent "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# The folder is part of the stamp: a virtual environment that was moved or copied does not work.
fingerprint() {
    { pwd; cat requirements.txt pyproject.toml .ci/setup.sh; } | if command -v sha256sum >/dev/null; then
        sha256sum
    else
        shasum -a 256
    fi
}

make_venv() {
    local base
    if is_recent "$python"; then return; fi
    base="$(find_python)" || die "Python 3.11 or newer is needed. Install it, or name it: make app PYTHON=/path/to/python3"
    say "making .venv with $("$base" --version)"
    rm -rf .venv
    "$base" -m venv .venv || {
        rm -rf .venv
        die "this Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
    }
}

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }

pin_of() { sed -n "s/^$1==\([0-9.]*\)$/\1/p" requirements.txt; }

# Version without its local part, "2.15.0" for "2.15.0+cpu"; nothing if the package is absent.
installed() {
    "$python" -c 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]).split("+")[0])' "$1" 2>/dev/null || true
}

# PyPI's torch for Linux brings 6 GB of CUDA libraries. Without an NVIDIA GPU the builds of PyTorch's own CPU index give
# the same numbers in a tenth of that. "+cpu" makes sure that only those match, whatever other indexes pip is told of;
# the plain pins of requirements.txt accept them afterwards.
install_cpu_torch() {
    if [ "$(uname -s)" != Linux ] || has_gpu; then return; fi
    if [ "$(installed torch)" = "$(pin_of torch)" ] && [ "$(installed torchvision)" = "$(pin_of torchvision)" ]; then return; fi
    say "no NVIDIA GPU: trying PyTorch's CPU builds"
    timeout 900 "$python" -m pip install --disable-pip-version-check --timeout 5 --retries 0 --no-deps \
        --index-url "$cpu_index" "torch==$(pin_of torch)+cpu" "torchvision==$(pin_of torchvision)+cpu" 2>/dev/null ||
        say "they cannot be had: the default index gives the CUDA builds (several GB, once; they run without a GPU)"
}

install() {
    say "installing what $1 needs; the first time takes a few minutes"
    install_cpu_torch
    local packages=(-r requirements.txt)
    if [ "$1" = dev ]; then packages+=(-e ".[dev]"); fi
    "$python" -m pip install --disable-pip-version-check --no-warn-script-location "${packages[@]}" ||
        die "the installation failed; the lines above say why. Run the same command again to go on from there."
    "$python" -c 'import av, cv2, detector, facenet_pytorch, streamlit, torch' ||
        die "an installed package does not load; the line above says which. Try: make clean, then again."
}

find_chromium() {
    local candidate
    for candidate in "${UNMASK_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
        "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
        if [ -n "$candidate" ] && command -v "$candidate"; then return; fi
    done
    # Playwright's own, if it was installed before
    "$python" -c 'import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p: path = p.chromium.executable_path
print(path)
sys.exit(not pathlib.Path(path).exists())'
}

# Tests read the path from .venv/chromium (tests/conftest.py).
install_chromium() {
    local found
    if ! found="$(find_chromium)"; then
        if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
            say "installing Chromium with apt-get"
            { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
                >/dev/null </dev/null || true
        else
            say "installing Chromium with Playwright"
            "$python" -m playwright install chromium </dev/null || true
        fi
        found="$(find_chromium)" ||
            die "the tests need Chromium. Install it (Debian: apt-get install chromium) or set UNMASK_CHROMIUM to its path."
    fi
    printf '%s\n' "$found" >.venv/chromium
}

case "$want" in app | dev) ;; *) die "usage: setup.sh app|dev" ;; esac

stamp="$(fingerprint)"
# what dev needs holds all that app needs
for done_for in dev "$want"; do
    if [ "$(cat ".venv/stamp-$done_for" 2>/dev/null)" = "$stamp" ] && [ -x "$python" ]; then
        if [ "$want" = app ] || [ -x "$(cat .venv/chromium 2>/dev/null)" ]; then exit 0; fi
    fi
done

make_venv
install "$want"
if [ "$want" = dev ]; then install_chromium; fi
printf '%s\n' "$stamp" >".venv/stamp-$want"
