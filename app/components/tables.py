"""Tables of figures that a reader can sort, and how networks are called in them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from detector import report

_MISSING = "—"


def table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], key: str) -> None:
    """A sortable table of the columns that hold anything, a dash where something is missing."""
    used = [c for c in columns if any(r.get(c) is not None for r in rows)]
    frame = pd.DataFrame({c: [r.get(c) for r in rows] for c in used})
    numbers = frame.select_dtypes("number").columns
    whole = [c for c in numbers if (frame[c].dropna() % 1 == 0).all() and frame[c].max() > 1]
    fine = {c: "{:.3f}" for c in numbers if c not in whole}
    styled = frame.style.format({**fine, **dict.fromkeys(whole, "{:.0f}")})
    # not by the style: the page writes "None" where a value is missing, whatever a style says
    st.dataframe(styled, hide_index=True, width="stretch", placeholder=_MISSING, key=key)


def short_name(name: str) -> str:
    """A network's or ensemble's name for a narrow column."""
    known = report.network_name(name)
    return known if known != name else name.replace("_", " ").capitalize()
