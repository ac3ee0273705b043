"""The page: configuration and navigation, run for each visitor and at each of their clicks."""

from pathlib import Path

import streamlit as st
from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value

from app.components.frame import navigation, one_line_errors, style, title
from app.views import about, live, models, verify

# Streamlit 1.67 leaves a fragment's containers open when it has run. A click on another page that came meanwhile is run
# by the same thread: what it draws would land inside them, "Bad delta path index" in the browser, and a white page.
context_dg_stack.set(get_default_dg_stack_value())
st.set_page_config(
    page_title=title(),
    page_icon=str(Path(__file__).parent / "static" / "icon.png"),
    layout="wide",
    menu_items={"Get help": None, "Report a bug": None, "About": None},
)
style()
pages = [
    st.Page(verify.page, title="Check", url_path="check", default=True),
    st.Page(live.page, title="Live", url_path="live"),
    st.Page(models.page, title="Models", url_path="models"),
    st.Page(about.page, title="About", url_path="about"),
]
# Streamlit's own bar turns into a button for a sidebar on phones; this one stays
page = st.navigation(pages, position="hidden")
navigation(pages, page)
with one_line_errors("page"):
    page.run()
