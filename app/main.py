"""Unmask in the browser: `streamlit run app/main.py`.

Streamlit finds the server in `app`; the page itself is `app/page.py`, run for each visitor.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streamlit.starlette import App

from app.networks import preload
from app.routes import routes


@asynccontextmanager
async def _ready(_: Any) -> AsyncIterator[None]:
    """The networks are loaded beside the server's start: the first file need not wait for them."""
    preload()
    yield


app = App(Path(__file__).with_name("page.py"), routes=routes(), lifespan=_ready)
