"""What is set for every page: privacy, configuration, colours."""

import re
import tomllib
from pathlib import Path

import pytest
import streamlit as st

from app.components.frame import privacy_line


def test_the_privacy_line_follows_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    address = {"server.address": "127.0.0.1", "server.disconnectedSessionTTL": 120}
    monkeypatch.setattr(st, "get_option", address.__getitem__)
    assert privacy_line() == "Runs on this computer. Nothing is uploaded or kept."
    monkeypatch.setenv("UNMASK_DEPLOYMENT", "server")
    assert "sent to this server" in privacy_line()
    assert "within 2 minutes" in privacy_line()
    monkeypatch.delenv("UNMASK_DEPLOYMENT")
    monkeypatch.setenv("SPACE_ID", "someone/unmask")
    assert "sent to this server" in privacy_line()
    monkeypatch.delenv("SPACE_ID")
    address["server.address"] = "0.0.0.0"
    assert "sent to this server" in privacy_line()


def test_configuration_keeps_quiet_and_local(repo_root: Path) -> None:
    config = tomllib.loads((repo_root / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["showEmailPrompt"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["runner"]["fastReruns"] is False
    assert config["client"] == {"toolbarMode": "viewer", "showErrorDetails": "none", "showErrorLinks": False}
    for face in config["theme"]["fontFaces"]:
        assert (repo_root / face["url"]).is_file(), "fonts are served by the app itself"


def _contrast(one: str, two: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_colour_has_enough_contrast_on_paper(repo_root: Path) -> None:
    sheet = (repo_root / "app" / "assets" / "style.css").read_text()
    colours = {
        name: (light, dark) for name, light, dark in re.findall(r"--um-([\w-]+): light-dark\((#\w+), (#\w+)\)", sheet)
    }
    for name in ("ink", "soft", "accent", "word-little", "word-weak", "word-strong", "word-very-strong", "word-none"):
        for colour, paper in zip(colours[name], colours["paper"], strict=True):
            assert _contrast(colour, paper) >= 4.5, f"{name}: {colour} on {paper}"
