"""Live camera: the browser's camera with boxes and smoothed bands drawn in."""

import html
import os
import threading
from typing import TYPE_CHECKING

import streamlit as st

from app import bugs, networks, session
from app.components.frame import draw_again, one_line_errors, small
from app.components.script import script
from detector import DetectorError, report
from detector.words import percent, reason_in_short

if TYPE_CHECKING:
    from detector import Detector
    from detector.live import LiveFace

_refusal = script("camera")
_MAX_STREAMS = 2
"""Streams that one server follows at once: each keeps a core busy."""


@st.cache_resource(show_spinner=False)
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(_MAX_STREAMS)


def page() -> None:
    """The page under /live."""
    st.html(
        '<div class="um"><h1>Live camera</h1><p class="um-small">Faces in your camera\'s picture, with evidence that '
        "is averaged over two seconds. The picture goes to this computer's own copy of Unmask, nothing is recorded.</p>"
        "</div>"
        if session.is_local()
        else '<div class="um"><h1>Live camera</h1><p class="um-small">Faces in your camera\'s picture, with evidence '
        "that is averaged over two seconds. The picture is sent to this server, nothing is recorded.</p></div>"
    )
    try:
        networks.model_names()
    except DetectorError as error:
        st.warning(str(error))
        return
    detector = None
    with one_line_errors("live"):
        detector = networks.worker().ready(session.models())
        if detector is None:
            _loading()
    if detector is not None:
        _stream(detector)
    st.html(f'<div class="um um-read"><h2 class="um-h3">What live video does to evidence</h2>{_NOTE}</div>')


@st.fragment(run_every=0.4)
def _loading() -> None:
    """Before the camera may start: while networks load, a stream would starve and the browser would give it up."""
    with one_line_errors("live"):
        if networks.worker().ready(session.models()) is not None:
            draw_again()
        with st.container(border=True, key="um-live-said"):
            st.html('<div class="um"><p class="um-eyebrow">Getting ready</p><p>Loading the networks…</p></div>')


def _stream(detector: "Detector") -> None:
    # heavy, and needed by this page alone
    from streamlit_webrtc import WebRtcMode, webrtc_streamer

    from app.camera import Camera

    places = _places()  # taken here: the stream's threads have no session
    with st.container(key="um-two"):
        left, right = st.columns([1.4, 1], gap="medium")
        with left, st.container(border=True, key="um-live"):
            stream = webrtc_streamer(  # type: ignore[call-overload]  # its types name other dictionaries
                key="live",
                mode=WebRtcMode.SENDRECV,
                # no server is asked how this computer is seen from outside: browser and app sit on the same one
                rtc_configuration={"iceServers": _ice_servers()},
                media_stream_constraints={
                    "video": {"width": {"ideal": 854}, "height": {"ideal": 480}, "frameRate": {"ideal": 25, "max": 30}},
                    "audio": False,
                },
                video_processor_factory=lambda: Camera(detector, places),
                async_processing=True,
                media_toggle_controls=False,
                translations={"start": "Start camera", "stop": "Stop camera", "select_device": "Choose a camera"},
                video_html_attrs={
                    "autoPlay": True,
                    "controls": False,
                    "muted": True,
                    "style": {"width": "100%", "background": "#11161F"},
                },
            )
            _refusal(data={"turn": session.next_turn()}, key="camera_refusal")
            if not session.is_local() and not _ice_servers():
                small(
                    "From another computer this needs https and, through most networks, a relay server "
                    "(UNMASK_ICE_SERVERS); on your own computer it works as it is."
                )
        with right, st.container(border=True, key="um-live-said"):
            camera = stream.video_processor if stream.state.playing else None
            if isinstance(camera, Camera):
                st.session_state.camera = camera
                _watch()
            else:
                st.html(
                    '<div class="um"><p class="um-eyebrow">Camera off</p><p>Start the camera and look into it. '
                    "Bands appear after about a second.</p></div>"
                )


_NOTE = (
    "<p>A live picture is a poor witness. The browser compresses it on its way, harder when the computer is busy, and "
    "that hides traces. Bands here are averaged over two seconds only and are not corrected for how long you watch: in "
    "some minutes of genuine video, a chance alarm is to be expected. Nothing here is kept, so nothing can be "
    "quoted.</p><p>To judge a call or a broadcast, record it in the best quality you can get and check the file on "
    "the Check page.</p>"
)


def _ice_servers() -> list[dict[str, str]]:
    """Relay servers that whoever runs a server has named, as URLs separated by blanks; none by default."""
    return [{"urls": url} for url in os.environ.get("UNMASK_ICE_SERVERS", "").split()]


@st.fragment(run_every=0.5)
def _watch() -> None:
    from app.camera import Camera

    with one_line_errors("live"):
        camera = st.session_state.get("camera")
        if not isinstance(camera, Camera):
            return
        if camera.turned_away:
            small("Too many cameras are being watched on this server. Try again in a minute.")
            return
        state = camera.state()
        if state.failed:
            st.error(bugs.BUG_MESSAGE)
            return
        rows = "".join(_row(face) for face in state.faces)
        rows = rows or "<p>No face in the picture.</p>"
        latency = "" if state.latency_s is None else f", {1000 * state.latency_s:.0f} ms behind"
        pace = f"{camera.frames_per_second:.0f} pictures a second, {state.per_second:.1f} judged a second{latency}"
        st.html(f'<div class="um"><p class="um-eyebrow">In the picture now</p>{rows}</div>')
        with st.expander("Figures"):
            st.html(f'<div class="um"><p class="um-small um-live-pace">{pace}</p></div>')


def _row(face: "LiveFace") -> str:
    if face.band is not None and face.prob_fake is not None:
        words = f"{report.band_word(face.band).capitalize()} evidence, {percent(face.prob_fake)}"
        return f'<p><b>Face {face.number}</b> <span class="um-word-{face.band}">{html.escape(words)}</span></p>'
    words = "looking…" if face.reason is None else f"no verdict: {reason_in_short(face.reason)}"
    return f'<p><b>Face {face.number}</b> <span class="um-word-none">{html.escape(words)}</span></p>'
