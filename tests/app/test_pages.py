"""The pages beside the check: models and about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import networks
from app.components.plainly import found_by_kind
from detector import WeightsError
from detector.results import Figure, Measured, write_results
from tests.fakes import fake_app
from tests.fakes.visitor import FORBIDDEN, text


def _models_page() -> None:
    import streamlit as st

    from app.views import models

    st.session_state.setdefault("researchers", True)
    models.page()


def _about_page() -> None:
    from app.views import about

    about.page()


def test_models_page_shows_figures_cards_and_false_alarms(
    made: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "resnet18.md").write_text("# ResNet-18\n\nTrained on invented faces.\n")
    monkeypatch.setattr(networks, "manifest", lambda: fake_app.manifest(tmp_path))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception
    assert "Average of ResNet-18 and EfficientNet-B0" in text(at)
    assert "12 of 400" in text(at)
    # without results there are no tables
    assert not at.dataframe and not at.get("plotly_chart")
    assert [e.label for e in at.expander] == ["ResNet-18"]
    assert at.markdown[0].value.strip() == "Trained on invented faces."


def test_models_page_with_results_shows_curves_and_dashes_for_what_is_missing(
    made: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_results(tmp_path, fake_app.results())
    monkeypatch.setattr(networks, "manifest", lambda: fake_app.manifest(tmp_path))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 3
    figures, cost, robustness, resaved, labels = (frame.value for frame in at.dataframe)
    assert list(figures["Network"]) == ["Average"] * 2 + ["ResNet-18"] * 2 + ["EfficientNet-B0"] * 2
    assert {"AUC", "AUC from", "Precision", "F1", "F1 to", "False alarms"} <= set(figures.columns)
    assert figures["AUC"].isna().tolist() == [False, True] * 3
    assert [frame.proto.placeholder for frame in at.dataframe] == ["—"] * 5
    assert cost["Genuine, flagged"].tolist() == [5, 5, 5] and cost["AUC minus the default's"].isna().tolist()[0]
    assert list(robustness["Pictures"]) == ["as they came", "JPEG 30"] * 3
    assert list(resaved["Faces"]) == ["manipulated, weak or more", "manipulated"] * 3
    assert list(resaved["Copy"]) == ["any of six", "saved as JPEG 50"] * 3
    assert {"Falls", "Falls from", "No verdict", "Rises", "n"} <= set(resaved.columns)
    assert list(labels["Label"]) == ["age 18-29", "ethnicity Asian"] * 3
    shown = text(at)
    assert (
        "Guessed." in shown
        and "its 20 test faces" in shown
        and "Validation faces whose" in shown
        and not FORBIDDEN.search(shown)
    )
    # tables of other weights than these are not shown
    found = fake_app.results()
    write_results(tmp_path, replace(found, curves=replace(found.curves, networks={"resnet18": "another"})))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception and not at.dataframe


def test_models_page_without_weights_says_what_to_do(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise WeightsError("There are no weights. Run `python -m train`.")

    monkeypatch.setattr(networks, "manifest", missing)
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception
    assert [i.value for i in at.info] == ["There are no weights. Run `python -m train`."]


def test_about_page(made: list[Any]) -> None:
    at = AppTest.from_function(_about_page, default_timeout=120).run()
    assert not at.exception
    shown = text(at)
    assert "What it cannot do" in shown
    assert not FORBIDDEN.search(shown)


def test_models_in_words_come_first_and_tables_when_asked(
    made: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def first_look() -> None:
        from app.views import models

        models.page()

    monkeypatch.setattr(networks, "manifest", lambda: fake_app.manifest(tmp_path))
    at = AppTest.from_function(first_look, default_timeout=120).run()
    assert not at.exception and not at.dataframe and not at.get("plotly_chart")
    shown = text(at)
    assert "Of 100 genuine faces from sources it never saw, it flags 11 as weak or more, 3 as strong or more" in shown
    assert "persons in genuine videos" in shown and "no all-clear" in shown
    assert not FORBIDDEN.search(shown)


def test_what_is_found_is_summed_up_by_kind_and_nothing_is_left_out() -> None:
    def measured(found: float, n: int, genuine: int = 0) -> Measured:
        return Measured(genuine, n, {"tpr": Figure(found, n=n)})

    slices = {
        "dfl": measured(0.1, 100),
        "timit": measured(0.9, 300),
        "140k": measured(0.8, 50),
        "of tomorrow": measured(0.5, 500),
        "new": measured(0.25, 4),
        "street": Measured(90, 0, {"fpr": Figure(0.1, n=90)}),
    }
    found = found_by_kind(slices)
    assert [(one.kind.split()[0], round(one.share, 3), one.n) for one in found] == [
        ("Faces", 0.8, 50),
        ("Face", 0.7, 400),
        ("Other", 0.25, 4),
    ]
