"""The picture with its boxes, and a video's timeline under it."""

from pathlib import Path

import streamlit as st

from app import session
from app.case import Case
from app.components.script import script
from app.look import FRAMES, look_of
from app.routes import prefix
from app.track import picture_of
from detector import FileVerdict, report

_media = script("media")
_MAX_FRAME_HEIGHT = 470
_CAVEAT = (
    "Bright places raised this network's score the most. Whether they mark the manipulated part has not been measured: "
    "look there, but do not quote them."
)


def media_card(case: Case, verdict: FileVerdict) -> None:
    """Picture, boxes, where a network looked, timeline, the faces to choose from, and another look at a part."""
    picture = picture_of(verdict)
    judged = any(person["band"] != "none" for person in picture["people"])
    networks = [{"name": m.name, "words": report.network_name(m.name)} for m in verdict.models] if judged else []
    key, address = f"media-{case.id}", case.id  # a part of the page outlives its check, and must not hold the file
    coverage = verdict.coverage
    end_s = (coverage.duration_s or 3600.0) if coverage is not None and picture["video"] else None

    def asked() -> None:
        look = look_of(st.session_state[key].get("look"), end_s)
        if look is not None:
            session.look_closer(address, look)

    with st.container(border=True, key="um-media"):
        _media(
            data={
                **picture,
                "base": prefix(),
                "check": case.id,
                "stem": Path(case.name).stem or "file",
                "max_height": _MAX_FRAME_HEIGHT,
                "playable": case.playable is not None,
                "networks": networks,
                "caveat": _CAVEAT,
                "duration": end_s,
                "frames": FRAMES,
            },
            key=key,
            on_look_change=asked,
        )
