"""The page, driven by Streamlit's AppTest, with a detector of known output behind it (`fakes/fake_app.py`)."""

import gc
import importlib.util
import json
import re
import threading
import time
import tomllib
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.proto.Common_pb2 import FileURLs as FileURLsProto
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest

from app import bugs, copies, networks, session
from app.components.page import privacy_line
from detector import WeightsError
from detector.media import sniff_kind

_FORBIDDEN = re.compile(r"\b(real|fake|authentic)\b|\b100 %", re.IGNORECASE)


@pytest.fixture(scope="module")
def fakes(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_app", repo_root / "tests" / "fakes" / "fake_app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The detectors that the page makes in this test."""
    networks.worker.clear()
    yield fakes.install(monkeypatch.setattr)
    networks.worker.clear()


@pytest.fixture
def page(repo_root: Path, made: list[Any], clean_temp: Path) -> AppTest:
    """The first visit. Nothing may be left in the temporary folder afterwards."""
    at = AppTest.from_file(str(repo_root / "app" / "main.py"), default_timeout=120).run()
    assert not at.exception
    return at


def _html(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def _text(at: AppTest) -> str:
    without_tags = re.sub(r"<style.*?</style>|<[^>]*>", " ", _html(at), flags=re.DOTALL)
    return re.sub(r"\s+", " ", without_tags + " " + " ".join(e.value for e in [*at.error, *at.warning, *at.info]))


def _media(at: AppTest) -> dict[str, Any]:
    """What the page hands to the part that draws frame, boxes, heatmap and strip."""
    for element in at.get("bidi_component"):
        if element.proto.component_name == "unmask_media":
            return dict(json.loads(element.proto.json))
    raise AssertionError("the page shows no media card")


def _until_drawn(at: AppTest, seconds: float = 120) -> AppTest:
    """Runs the page until its file is judged and its pictures are drawn; AppTest does not tick by itself."""
    end = time.monotonic() + seconds
    case = at.session_state["case"]
    while True:
        before = case.drawn
        was_busy = case.busy
        at.run()
        assert not at.exception
        case = at.session_state["case"]
        if not (was_busy or case.busy or case.drawing) and case.drawn == before:
            return at
        assert time.monotonic() < end, f"still {case.progress}"
        time.sleep(0.05)


def _drop(at: AppTest, name: str, data: bytes, mime: str = "image/jpeg") -> AppTest:
    at.file_uploader[0].set_value((name, data, mime)).run()
    assert not at.exception
    return at


@pytest.fixture
def photo(portrait_path: Path) -> bytes:
    return portrait_path.read_bytes()


@pytest.fixture
def clip(repo_root: Path) -> bytes:
    return (repo_root / "app" / "samples" / "clip.mp4").read_bytes()


def test_first_visit_has_drop_zone_privacy_samples_and_limits(page: AppTest) -> None:
    text = _text(page)
    assert len(page.file_uploader) == 1
    assert "Nothing is uploaded or kept" in text
    assert [b.key for b in page.button if b.key.startswith("sample-")] == [
        "sample-astronaut.jpg",
        "sample-astronaut_edited.jpg",
        "sample-clip.mp4",
    ]
    assert "cannot tell" in text
    assert f"up to {session.upload_limit_mb()} MB" in page.file_uploader[0].label


def test_a_photo_gets_verdict_facts_error_rate_quote_and_json(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    text = _text(at)
    assert "Strong evidence of manipulation" in text
    assert "81 %" in text
    assert "range under re-encoding 74 to 86 %" in text
    assert "One of two networks is above its threshold" in text
    assert "12 of 400" in text
    assert "This is a lead, not proof." in text
    assert text.index("Strong evidence") < text.index("81 %") < text.index("12 of 400")
    assert 'role="img" aria-label="Evidence scale from little to very strong: 81 %, in the band strong' in _html(at)
    (button,) = at.get("download_button")
    assert button.proto.label == "Download JSON"


def test_the_json_is_the_schema_of_the_verdict(page: AppTest, photo: bytes) -> None:
    from detector import report

    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    verdict = at.session_state["case"].verdict
    assert json.loads(report.to_json(verdict)) == verdict.to_dict()
    assert verdict.file == "portrait.jpg"


def test_the_heatmap_is_drawn_once_and_labelled_with_its_network(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    media = _media(at)
    assert media["heat"].startswith("data:image/jpeg;base64,")
    assert media["frame"].startswith("data:image/jpeg;base64,")
    assert media["heat"] != media["frame"]
    assert media["heat_label"] == "Heatmap (Grad-CAM, ResNet-18)"
    assert len(made[0].explained) == 1
    at.run()
    assert len(made[0].explained) == 1


def test_boxes_are_numbered_and_named(page: AppTest, photo: bytes) -> None:
    media = _media(_until_drawn(_drop(page, "portrait.jpg", photo)))
    assert [face["number"] for face in media["faces"]] == [1, 2, 3]
    assert [face["band"] for face in media["faces"]] == ["strong", "little", "none"]
    assert media["faces"][0]["label"] == "Face 1: Strong, 81 %"
    assert media["faces"][2]["label"] == "Face 3: No verdict"
    assert all(0 <= v <= 1 for face in media["faces"] for v in face["box"])


def test_another_face_can_be_chosen(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    at.segmented_control(key="person_choice").set_value(2).run()
    at = _until_drawn(at)
    assert [face["selected"] for face in _media(at)["faces"]] == [False, True, False]
    assert [box for _, box in made[0].explained][-1] == at.session_state["case"].face_at(2, None).box
    at.segmented_control(key="person_choice").set_value(3).run()
    at = _until_drawn(at)
    assert _media(at)["heat"] == ""
    assert "face too small to judge" in _text(at)


def test_a_video_gets_persons_timeline_filmstrip_and_table(page: AppTest, clip: bytes) -> None:
    at = _until_drawn(_drop(page, "clip.mp4", clip, "video/mp4"))
    text = _text(at)
    assert "95 % interval 74 to 87 %" in text
    assert "Person 1 of 3, the most suspicious" in text
    assert "Person 3" in text
    (chart,) = at.get("plotly_chart")
    assert "Person 2: Little, 12 %" in chart.proto.alt
    film = _media(at)["film"]
    assert len(film) == 5
    assert all(still["src"] for still in film)
    assert sum(still["selected"] for still in film) == 1
    assert set(at.dataframe[0].value.columns) == {"Time (s)", "Person", "Probability"}


def test_the_slider_shows_another_frame(page: AppTest, clip: bytes) -> None:
    at = _until_drawn(_drop(page, "clip.mp4", clip, "video/mp4"))
    before = _media(at)
    times = at.session_state["case"].verdict.persons[0].timeline
    at.select_slider(key="time_slider").set_value(times[3].time_s).run()
    at = _until_drawn(at)
    after = _media(at)
    assert after["caption"] == f"Frame at {times[3].time_s:.1f} s"
    assert after["frame"] != before["frame"]
    assert after["heat"] not in ("", before["heat"])


def test_a_frame_in_which_a_person_is_not_seen_says_so(page: AppTest, clip: bytes) -> None:
    at = _until_drawn(_drop(page, "clip.mp4", clip, "video/mp4"))
    at.segmented_control(key="person_choice").set_value(2).run()
    times = [point.time_s for point in at.session_state["case"].verdict.persons[0].timeline]
    at.select_slider(key="time_slider").set_value(times[20]).run()
    at = _until_drawn(at)
    assert _media(at)["heat_label"] == "Person 2 is not judged in this frame"
    assert [face["number"] for face in _media(at)["faces"]] == [1]


@pytest.mark.parametrize(
    ("tab", "words"), [("Networks", "above its threshold"), ("How to read this", "as many manipulated")]
)
def test_tabs(page: AppTest, photo: bytes, tab: str, words: str) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    at.session_state["tabs"] = tab
    assert words in _text(at.run())


def test_heatmaps_of_every_network(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    at.session_state["tabs"] = "Heatmaps"
    at = _until_drawn(at)
    assert _html(at).count('alt="Heatmap of ') == 2
    assert {model for model, _ in made[0].explained} == {"resnet18", "efficientnet_b0"}
    at.segmented_control(key="network_choice").set_value("efficientnet_b0").run()
    assert _media(_until_drawn(at))["heat_label"] == "Heatmap (Grad-CAM, EfficientNet-B0)"


def test_help_explains_probability_range_and_bands(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    at.session_state["tabs"] = "How to read this"
    text = _text(at.run())
    assert "as many manipulated as genuine files" in text
    assert "quality 95 and 75" in text
    assert "10 %" in text and "2 %" in text and "0.5 %" in text
    assert "52 % (weak)" in text


def test_no_face_is_a_calm_result(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "noface.jpg", photo))
    assert "No verdict" in _text(at)
    assert "No face was found. Try a picture in which a face is larger." in _text(at)
    assert not at.error
    assert _media(at)["faces"] == []


@pytest.mark.parametrize("data", [b"", b"just a letter"], ids=["empty", "text"])
def test_what_is_no_photo_gets_one_line(page: AppTest, data: bytes) -> None:
    at = _until_drawn(_drop(page, "letter.mp4", data, "video/mp4"))
    assert "Try a JPEG, PNG or MP4." in _text(at)
    assert not at.error


def test_a_bug_shows_one_line_and_logs_no_file_name(
    page: AppTest, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    at = _until_drawn(_drop(page, "bug-Jane-Doe.jpg", photo))
    assert [e.value for e in at.error] == [bugs.BUG_MESSAGE]
    assert "Traceback" not in _text(at)
    assert "ZeroDivisionError" in caplog.text
    assert "Jane" not in caplog.text


def test_cancel_gives_the_page_back_within_a_second(page: AppTest, photo: bytes) -> None:
    at = _drop(page, "slow.jpg", photo)
    case = at.session_state["case"]
    while case.state != "running":
        time.sleep(0.01)
    at.run()
    assert "Reading frames" in _text(at)
    begin = time.monotonic()
    at.button(key="cancel").click().run()
    assert time.monotonic() - begin < 4  # a tenth of a second where nothing else runs; the analysis takes eight
    assert len(at.file_uploader) == 1
    assert "case" not in at.session_state
    assert case.state == "stopped"
    # and the worker is free for the next file
    _until_drawn(_drop(at, "portrait.jpg", photo), seconds=60)


def test_closing_the_page_stops_the_work(page: AppTest, photo: bytes) -> None:
    at = _drop(page, "slow.jpg", photo)
    case = at.session_state["case"]
    st.cache_resource.clear()  # what Streamlit does with a session's resources when its page is closed
    assert case.state == "stopped"
    at.run()
    assert "The check was stopped" in _text(at)
    at.button(key="again").click().run()
    assert at.session_state["case"] is not case


def test_a_lost_connection_keeps_what_was_found(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    st.cache_resource.clear()
    at.segmented_control(key="person_choice").set_value(2).run()
    at = _until_drawn(at)
    assert _media(at)["heat"]


def test_another_network_checks_the_file_again(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    first = at.session_state["case"]
    at.radio(key="networks").set_value("resnet18").run()
    at = _until_drawn(at)
    assert [detector.asked_for for detector in made] == ["default", "resnet18"]
    assert at.session_state["case"] is not first
    assert at.session_state["case"].name == "portrait.jpg"


def test_check_another_file_forgets_the_first(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    case = weakref.ref(at.session_state["case"])
    at.button(key="another").click().run()
    gc.collect()
    assert case() is None, "somebody still holds the first user's file"
    assert "case" not in at.session_state
    assert "Strong evidence" not in _text(at)
    assert len(at.file_uploader) == 1


def test_a_file_of_this_computer_is_read_where_it_lies(page: AppTest, repo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "a clip.mp4"
    path.write_bytes((repo_root / "app" / "samples" / "clip.mp4").read_bytes())
    # as Windows and some file managers copy it
    page.text_input(key="path_text").set_value(f'"{path}" ')
    _until_drawn(next(b for b in page.button if b.label == "Check this file").click().run())
    assert page.session_state["case"].source == path and page.session_state["case"].playable == "video/mp4"
    assert "a clip.mp4" in _text(page) and str(tmp_path) not in _text(page)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "Type or paste"),
        ("{folder}", "That is a folder"),
        ("{folder}/none.mp4", "There is no such file"),
        ("file://{folder}/none.mp4", "There is no such file"),
        ("\0", "There is no such file"),
        ("~nobody-of-that-name/x.mp4", "There is no such file"),
        ("x" * 5000, "may not be opened"),
    ],
)
def test_a_path_that_leads_nowhere_gets_one_line(page: AppTest, tmp_path: Path, text: str, words: str) -> None:
    page.text_input(key="path_text").set_value(text.format(folder=tmp_path))
    next(b for b in page.button if b.label == "Check this file").click().run()
    assert not page.exception and len(page.error) == 1
    assert words in page.error[0].value and str(tmp_path) not in page.error[0].value


def test_an_upload_that_was_taken_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    record = UploadedFileRec("1", "a.jpg", "image/jpeg", b"picture")
    kept = MemoryUploadedFileManager("/upload")
    kept.add_file("visitor", record)
    context = SimpleNamespace(session_id="visitor", uploaded_file_mgr=kept)
    monkeypatch.setattr(session, "get_script_run_ctx", lambda: context)
    assert session.take_upload(UploadedFile(record, FileURLsProto())) == b"picture"
    assert kept.get_files("visitor", ["1"]) == []


def test_a_server_opens_no_paths(
    repo_root: Path, made: list[Any], portrait_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_DEPLOYMENT", "server")
    at = AppTest.from_file(str(repo_root / "app" / "main.py"), default_timeout=120).run()
    assert not at.exception and not at.text_input
    assert "can only be opened on that computer itself" in (session.open_path(str(portrait_path)) or "")


def _drawing_again_while_somebody_goes_there() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx

    from app.components.page import draw_again

    st.text("there" if "there" in st.query_params else "here")
    context = get_script_run_ctx()
    assert context is not None and context.script_requests is not None
    if "asked" not in st.session_state:
        st.session_state.asked = True
        context.script_requests.request_rerun(RerunData(query_string="there=1"))
        draw_again()


def test_a_click_elsewhere_goes_before_drawing_again() -> None:
    at = AppTest.from_function(_drawing_again_while_somebody_goes_there, default_timeout=60).run()
    assert [text.value for text in at.text] == ["there"]


def test_nothing_draws_again_past_a_click(repo_root: Path) -> None:
    found = {path.name for path in (repo_root / "app").rglob("*.py") if "st.rerun()" in path.read_text()}
    assert found == {"page.py"}
    assert (repo_root / "app" / "components" / "page.py").read_text().count("    st.rerun()") == 1


def test_a_detector_is_loaded_by_the_worker_and_told_when_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def until(line: networks.Worker) -> object:
        end = time.monotonic() + 20
        while (found := line.ready("one")) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        return found

    monkeypatch.setattr(networks, "build_detector", lambda name: name.upper())
    assert until(networks.Worker()) == "ONE"

    def broken(name: str) -> None:
        raise WeightsError("gone")

    monkeypatch.setattr(networks, "build_detector", broken)
    line = networks.Worker()
    for _ in range(2):
        with pytest.raises(WeightsError, match="gone"):
            until(line)
    monkeypatch.setattr(networks, "build_detector", lambda name: "again")
    done = threading.Event()
    line.submit(lambda: line.detector("one"))
    line.submit(done.set)
    assert done.wait(20)
    assert until(line) == "again"


def test_the_card_of_the_chosen_face_stands_out(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    cards = re.findall(r'um-person( on)?">.*?<b>(Face \d)</b>', _html(at))
    assert cards == [(" on", "Face 1"), ("", "Face 2"), ("", "Face 3")]
    at.segmented_control(key="person_choice").set_value(2).run()
    assert re.findall(r'um-person on">.*?<b>(Face \d)</b>', _html(_until_drawn(at))) == ["Face 2"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights of its own, so far empty."""
    import detector.weights

    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(detector.weights, "default_folder", lambda: folder)
    return folder


def _publish(fakes: ModuleType, folder: Path, date: str) -> None:
    from detector.weights import MANIFEST_VERSION, write_manifest

    write_manifest(folder, {**fakes.manifest().data, "date": date, "manifest_version": MANIFEST_VERSION})


def test_the_manifest_is_read_again_when_another_set_is_published(fakes: ModuleType, weights: Path) -> None:
    with pytest.raises(WeightsError):
        networks.manifest()
    _publish(fakes, weights, "2026-12-02")
    first = networks.manifest()
    assert first.date == "2026-12-02" and networks.manifest() is first
    _publish(fakes, weights, "2026-12-09")
    assert networks.manifest().date == "2026-12-09"


def test_networks_published_meanwhile_judge_the_next_file_and_not_this_one(
    fakes: ModuleType, weights: Path, page: AppTest, made: list[Any], photo: bytes
) -> None:
    _publish(fakes, weights, "2026-12-02")
    at = _until_drawn(_drop(page, "portrait.jpg", photo))
    assert len(made) == 1 and len(made[0].explained) == 1
    _publish(fakes, weights, "2026-12-09")
    at.segmented_control(key="person_choice").set_value(2).run()
    at = _until_drawn(at)
    # the heatmap beside a verdict is of the networks that gave it
    assert len(made) == 1 and len(made[0].explained) == 2
    case = at.session_state["case"]
    case.make_copy(True)
    while case.copy.state == "making":
        time.sleep(0.02)
    assert case.copy.state == "done" and len(made) == 1
    at.button(key="another").click().run()
    at = _until_drawn(_drop(at, "next.jpg", photo))
    assert len(made) == 2 and len(made[1].explained) == 1
    at.button(key="another").click().run()
    _until_drawn(_drop(at, "third.jpg", photo))
    assert len(made) == 2, "the same set is loaded once"


def test_an_older_set_does_not_stay_in_memory(fakes: ModuleType, weights: Path, made: list[Any]) -> None:
    _publish(fakes, weights, "2026-12-02")
    line = networks.Worker()
    old = weakref.ref(line.detector("default"))
    made.clear()
    _publish(fakes, weights, "2026-12-09")
    line.detector("default")
    gc.collect()
    assert old() is None


def test_a_set_that_is_replaced_while_it_is_loaded_is_loaded_anew(
    fakes: ModuleType, weights: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(fakes, weights, "2026-12-02")
    tried = []

    def build(name: str) -> Any:
        tried.append(name)
        if len(tried) == 1:
            _publish(fakes, weights, "2026-12-09")
            raise WeightsError("weights/resnet18.safetensors is damaged or of another version")
        return fakes.FakeDetector(name)

    monkeypatch.setattr(networks, "build_detector", build)
    line = networks.Worker()
    assert line.detector("default") is line.detector("default")
    assert tried == ["default"] * 2

    def damaged(name: str) -> Any:
        raise WeightsError("weights/resnet18.safetensors is damaged or of another version")

    monkeypatch.setattr(networks, "build_detector", damaged)
    with pytest.raises(WeightsError, match="damaged"):
        line.detector("resnet18")


def test_a_choice_that_the_next_set_lacks_gives_way_to_the_default(
    page: AppTest, made: list[Any], photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.radio(key="networks").set_value("resnet18").run()
    monkeypatch.setattr(networks, "model_names", lambda: ("average", "efficientnet_b0"))
    _until_drawn(_drop(page, "portrait.jpg", photo))
    assert [detector.asked_for for detector in made] == ["default"]


def _marked(page: AppTest, name: str, data: bytes, mime: str) -> copies.MarkedCopy:
    at = _until_drawn(_drop(page, name, data, mime))
    at.session_state["tabs"] = "Downloads"
    at.run()
    assert at.get("download_button")[1].proto.label == "Download CSV"
    at.button(key="make_copy").click().run()
    copy = at.session_state["case"].copy
    end = time.monotonic() + 120
    while copy.state == "making":
        assert time.monotonic() < end, copy.progress
        time.sleep(0.05)
    at.run()
    assert not at.exception and not at.error
    return copy


def test_a_marked_video_and_a_table_can_be_downloaded(page: AppTest, clip: bytes) -> None:
    copy = _marked(page, "talk.mp4", clip, "video/mp4")
    assert copy.state == "done" and copy.heat and sniff_kind(copy.data[:4096]) == "video"
    assert page.get("download_button")[-1].proto.label == "Download marked video"
    assert "The marked video is ready." in _text(page)
    case = page.session_state["case"]
    page.button(key="another").click().run()
    assert case.copy is None


def test_a_marked_photo_can_be_downloaded(page: AppTest, photo: bytes) -> None:
    copy = _marked(page, "portrait.jpg", photo, "image/jpeg")
    assert copy.state == "done" and sniff_kind(copy.data[:4096]) == "image"


def test_a_copy_that_is_not_wanted_any_more_stops_at_once(page: AppTest, clip: bytes) -> None:
    at = _until_drawn(_drop(page, "talk.mp4", clip, "video/mp4"))
    case = at.session_state["case"]
    case.make_copy(True)
    copy = case.copy
    begin = time.monotonic()
    case.drop_copy()
    assert case.copy is None and copy.state == "stopped"
    done = threading.Event()
    networks.worker().submit(done.set)
    assert done.wait(10) and time.monotonic() - begin < 10
    assert copy.data == b"" and copy.error is None


def test_a_sample_runs(page: AppTest) -> None:
    page.button(key="sample-astronaut_edited.jpg").click().run()
    assert "evidence of manipulation" in _text(_until_drawn(page))


def test_names_of_files_are_text_and_never_html(page: AppTest, photo: bytes) -> None:
    at = _until_drawn(_drop(page, "<img src=x onerror=alert(1)>.jpg", photo))
    assert "<img src=x" not in _html(at)
    assert "&lt;img src=x" in _html(at)


@pytest.mark.parametrize("name", ["little.jpg", "strong.jpg", "very.jpg", "noface.jpg"])
def test_no_page_names_a_verdict_that_is_none(page: AppTest, photo: bytes, name: str) -> None:
    at = _until_drawn(_drop(page, name, photo))
    for tab in ("Networks", "Heatmaps", "How to read this"):
        if name != "noface.jpg":
            at.session_state["tabs"] = tab
            at = _until_drawn(at)
        assert not _FORBIDDEN.search(_text(at)), _FORBIDDEN.search(_text(at))


def test_missing_weights_are_one_line(repo_root: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise WeightsError("There are no weights. Run `python -m train`.")

    monkeypatch.setattr(networks, "manifest", missing)
    at = AppTest.from_file(str(repo_root / "app" / "main.py"), default_timeout=120).run()
    assert not at.exception
    assert [w.value for w in at.warning] == ["There are no weights. Run `python -m train`."]
    assert not at.file_uploader


def _models_page() -> None:
    from app.views import models

    models.page()


def _about_page() -> None:
    from app.views import about

    about.page()


def test_models_page_shows_figures_cards_and_false_alarms(
    fakes: ModuleType, made: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "resnet18.md").write_text("# ResNet-18\n\nTrained on invented faces.\n")
    monkeypatch.setattr(networks, "manifest", lambda: fakes.manifest(tmp_path))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception
    assert "Average of ResNet-18 and EfficientNet-B0" in _text(at)
    assert "12 of 400" in _text(at)
    table = at.dataframe[0].value
    assert list(table["Network"]) == ["Average"] * 3 + ["ResNet-18"] * 3 + ["EfficientNet-B0"] * 3
    assert {"AUC", "AUC from", "AUC to", "False alarms", "Found", "Genuine", "Manipulated"} <= set(table.columns)
    assert len(at.get("plotly_chart")) == 1
    assert [e.label for e in at.expander] == ["ResNet-18"]
    assert at.markdown[0].value.strip() == "Trained on invented faces."


def test_models_page_with_a_leaderboard_shows_curves_and_dashes_for_what_is_missing(
    fakes: ModuleType, made: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "leaderboard.json").write_text(json.dumps(fakes.leaderboard()))
    monkeypatch.setattr(networks, "manifest", lambda: fakes.manifest(tmp_path))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 3
    figures, cost, robustness, labels = (frame.value for frame in at.dataframe)
    assert list(figures["Network"]) == ["Average"] * 2 + ["ResNet-18"] * 2 + ["EfficientNet-B0"] * 2
    assert {"AUC", "AUC from", "Precision", "F1", "F1 to", "False alarms"} <= set(figures.columns)
    assert figures["AUC"].isna().tolist() == [False, True] * 3
    assert [frame.proto.placeholder for frame in at.dataframe] == ["—"] * 4
    assert cost["Genuine, flagged"].tolist() == [5, 5, 5] and cost["AUC minus the default's"].isna().tolist()[0]
    assert list(robustness["Pictures"]) == ["as they came", "JPEG 30"] * 3
    assert list(labels["Label"]) == ["age 18-29", "ethnicity Asian"] * 3
    text = _text(at)
    assert "Guessed." in text and "its 20 test faces" in text and not _FORBIDDEN.search(text)
    # tables of other weights than these are not shown
    other = {**fakes.leaderboard(), "networks": {"resnet18": "another"}}
    (tmp_path / "leaderboard.json").write_text(json.dumps(other))
    at = AppTest.from_function(_models_page, default_timeout=120).run()
    assert not at.exception and len(at.dataframe) == 1


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
    text = _text(at)
    assert "What it cannot do" in text
    assert not _FORBIDDEN.search(text)


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
