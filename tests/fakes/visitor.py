"""A visitor of the page in Streamlit's AppTest: brings files, waits for verdicts, reads what stands there."""

import json
import re
import time
from typing import Any

from streamlit.testing.v1 import AppTest

from app import networks
from app.case import Case
from app.shelf import shelf

FORBIDDEN = re.compile(r"\b(real|fake|authentic)\b|\b100 %", re.IGNORECASE)
"""What no page may say of a file."""


def markup(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def text(at: AppTest) -> str:
    without_tags = re.sub(r"<style.*?</style>|<[^>]*>", " ", markup(at), flags=re.DOTALL)
    return re.sub(r"\s+", " ", without_tags + " " + " ".join(e.value for e in [*at.error, *at.warning, *at.info]))


def handed(at: AppTest, part: str) -> dict[str, Any]:
    """What the page hands to one of its parts that run in the browser."""
    for element in at.get("bidi_component"):
        if element.proto.component_name == f"unmask_{part}":
            return dict(json.loads(element.proto.json))
    raise AssertionError(f"the page shows no {part}")


def shows(at: AppTest, part: str) -> bool:
    return any(element.proto.component_name == f"unmask_{part}" for element in at.get("bidi_component"))


def drop(at: AppTest, name: str, data: bytes) -> AppTest:
    """What the browser does with a dropped file: the server takes it, and the page goes to its address."""
    case = Case(name, data, "default", networks.worker())
    shelf().put(case, handed(at, "intake")["ticket"])
    at.query_params["check"] = case.id
    at.run()
    assert not at.exception
    return at


def case_of(at: AppTest) -> Case:
    address = at.query_params["check"]
    case = shelf().find(address if isinstance(address, str) else address[0])
    assert case is not None
    return case


def judged(at: AppTest, seconds: float = 60) -> AppTest:
    """Waits until the file on show is judged, and draws the page."""
    end = time.monotonic() + seconds
    case = case_of(at)
    while case.busy:
        assert time.monotonic() < end, f"still {case.progress}"
        time.sleep(0.02)
    at.run()
    assert not at.exception
    return at
