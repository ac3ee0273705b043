"""The check: what the page shows of a file, by Streamlit's AppTest; `test_browser.py` clicks through it."""

import gc
import json
import re
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import bugs, networks, session
from app.case import Case
from app.components.samples import lesson
from app.look import Look
from app.shelf import shelf
from detector import WeightsError, report
from tests.fakes.visitor import FORBIDDEN, case_of, drop, handed, judged, markup, shows, text


def test_first_visit_has_drop_zone_privacy_samples_and_limits(page: AppTest) -> None:
    shown = text(page)
    assert handed(page, "intake")["zone"] is True
    assert f"up to {session.upload_limit_mb()} MB" in handed(page, "intake")["kinds"]
    assert "Nothing is uploaded or kept" in shown and "cannot tell" in shown
    assert "little weak strong very strong" in shown, "what comes out is said before"
    assert [b.label for b in page.button if str(b.key).startswith("sample-")]
    assert len({b.label for b in page.button}) == len(page.button), "no two buttons are called alike"


def test_a_photo_gets_verdict_scale_facts_error_rate_and_quote(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    shown = text(at)
    assert "Strong evidence of manipulation" in shown
    assert "12 of 400" in shown
    assert "This is a lead, not proof." in shown
    assert shown.index("Strong evidence") < shown.index("this file 81") < shown.index("12 of 400")
    assert "if re-saved 74 to 86" in shown
    assert "this file scores 81 of 100, strong, if re-saved 74 to 86" in markup(at)
    for edge in (">52<", ">71<", ">93<"):
        assert edge in markup(at), "the edges stand on the scale"
    assert handed(at, "actions")["quote"] == report.quote(case_of(at).verdict)


def test_what_can_be_saved_is_on_the_page_itself(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    verdict = case_of(at).verdict
    assert verdict is not None
    files = {file["name"]: file["text"] for file in handed(at, "actions")["files"]}
    assert set(files) == {"portrait.unmask.json", "portrait.unmask.csv", "portrait.unmask.txt"}
    assert json.loads(files["portrait.unmask.json"]) == verdict.to_dict()
    assert files["portrait.unmask.csv"].startswith("\ufefffile,")
    assert handed(at, "actions")["marked"]["name"] == "portrait.unmask.jpg"
    made = [(item["what"], item["name"]) for item in handed(at, "actions")["made"]]
    assert made[:2] == [("report.pdf", "portrait.unmask.pdf"), ("report.html", "portrait.unmask.html")]


def test_faces_are_numbered_named_and_have_their_boxes(page: AppTest, photo: bytes) -> None:
    media = handed(judged(drop(page, "portrait.jpg", photo)), "media")
    assert [face["number"] for face in media["people"]] == [1, 2, 3]
    assert [face["band"] for face in media["people"]] == ["strong", "little", "none"]
    assert [face["words"] for face in media["people"]] == ["Strong, score 81", "Little, score 4", "No verdict"]
    assert media["people"][2]["detail"] == "face too small to judge"
    assert all(0 <= v <= 1 for face in media["people"] for v in face["points"][0]["box"])
    assert [network["words"] for network in media["networks"]] == ["ResNet-18", "EfficientNet-B0"]
    assert not media["video"]


def test_a_video_gets_persons_and_a_timeline(page: AppTest, clip: bytes) -> None:
    at = judged(drop(page, "clip.mp4", clip))
    media, shown = handed(at, "media"), text(at)
    assert "Person 1 of 3, the most suspicious" in shown and "95 % interval 74 to 87" in shown
    assert [person["name"] for person in media["people"]] == ["Person 1", "Person 2", "Person 3"]
    assert all(len(person["film"]) == 5 for person in media["people"][:2])
    assert media["end"] == pytest.approx(6.0, abs=0.1) and media["playable"] is True
    assert "Person 2: Little, score 12" in media["timeline_alt"]
    # the fake's videos get at most strong: the zone above is there, shut and said
    assert [band["open"] for band in media["bands"]] == [True, True, True, False]
    assert media["bands"][3]["label"] == "very strong: not for videos yet"
    assert 'class="um-shut"' in markup(at) and "not given for videos by this version" in shown
    assert "Every frame that shows a person" in shown


def test_numbers_are_there_closed_with_the_scale_that_they_stand_on(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    sections = markup(at).split('<details class="um-details"')
    assert [part.partition("</summary>")[0].rpartition(">")[2] for part in sections[1:]] == [
        "Numbers",
        "How to read this",
        "What this result was made with",
    ]
    shown = text(at)
    assert "band edges of its own" in shown
    # 81 against edges of 60, 80 and 90 is strong; 61 against 55, 75 and 85 is weak; together 81 against 52, 71 and 93
    for row in (
        "ResNet-18 81 Strong (edges 60&nbsp;· 80&nbsp;· 90)",
        "EfficientNet-B0 61 Weak (edges 55&nbsp;· 75&nbsp;· 85)",
        "All together 81 Strong (edges 52&nbsp;· 71&nbsp;· 93)",
    ):
        assert row in shown
    assert "as many manipulated as genuine files" in shown
    assert "10 %" in shown and "2 %" in shown and "0.5 %" in shown
    assert "52 (weak)" in shown
    assert case_of(at).verdict.sha256 in shown  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["portrait.jpg", "noface.jpg", "letter.txt"])
def test_what_the_file_says_and_what_to_do_next_stand_on_the_card(page: AppTest, photo: bytes, name: str) -> None:
    at = judged(drop(page, name, b"just a letter" if name == "letter.txt" else photo))
    shown = text(at)
    assert shown.count("No Content Credentials") == 1 and "The file says: No Content Credentials" in shown
    assert "What the file says Labels without a signature" in shown and "Next Ask the sender" in shown
    assert "&lt;b&gt;Paint&lt;/b&gt;" in markup(at) and "<b>Paint" not in markup(at)


def test_no_face_is_a_calm_result(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "noface.jpg", photo))
    assert "No verdict" in text(at)
    assert "No face was found. Try a picture in which a face is larger." in text(at)
    assert not at.error
    media = handed(at, "media")
    assert media["people"] == [] and media["networks"] == []


@pytest.mark.parametrize("data", [b"", b"just a letter"], ids=["empty", "text"])
def test_what_is_no_photo_gets_one_line_and_no_sentence_to_quote(page: AppTest, data: bytes) -> None:
    at = judged(drop(page, "letter.mp4", data))
    assert "Try a JPEG, PNG or MP4." in text(at)
    assert not at.error and "“" not in text(at)
    assert [file["title"] for file in handed(at, "actions")["files"]] == ["Data (JSON)"]


def test_a_bug_shows_one_line_and_logs_no_file_name(
    page: AppTest, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    at = judged(drop(page, "bug-Jane-Doe.jpg", photo))
    assert [e.value for e in at.error] == [bugs.BUG_MESSAGE]
    assert "Traceback" not in text(at)
    assert "ZeroDivisionError" in caplog.text
    assert "Jane" not in caplog.text


def test_a_check_under_way_says_so_and_is_left_alone_by_other_pages(page: AppTest, photo: bytes) -> None:
    at = drop(page, "slow.jpg", photo)
    assert "Checking slow.jpg" in text(at) and shows(at, "waiting") and not shows(at, "media")
    case = case_of(at)
    del at.query_params["check"]
    at.run()
    # the start page lists it meanwhile
    (row,) = handed(at, "checks")["checks"]
    assert row["name"] == "slow.jpg" and row["state"] in ("waiting", "running") and case.busy
    at.query_params["check"] = case.id
    assert "Strong evidence" in text(judged(at))


def test_stopping_frees_the_worker_at_once(page: AppTest, photo: bytes) -> None:
    at = drop(page, "endless.jpg", photo)
    case = case_of(at)
    while case.state != "running":
        time.sleep(0.01)
    begin = time.monotonic()
    case.stop()
    assert case.state == "stopped"
    judged(drop(at, "portrait.jpg", photo), seconds=30)
    assert time.monotonic() - begin < 30


def test_the_pages_of_one_visitor(page: AppTest, photo: bytes) -> None:
    """Every check has an address; Back and Forward are addresses too."""
    first = case_of(judged(drop(page, "one.jpg", photo)))
    second = case_of(judged(drop(page, "two.jpg", photo)))
    page.query_params["check"] = first.id
    assert "one.jpg" in text(page.run())
    page.button(key="another").click().run()
    assert "check" not in page.query_params and handed(page, "intake")["zone"]
    assert [row["name"] for row in handed(page, "checks")["checks"]] == ["two.jpg", "one.jpg"]
    assert second.verdict is not None and first.verdict is not None


def test_a_page_that_is_loaded_again_finds_its_check(page: AppTest, photo: bytes, repo_root: Path) -> None:
    case = case_of(judged(drop(page, "portrait.jpg", photo)))
    again = AppTest.from_file(str(repo_root / "app" / "page.py"), default_timeout=120)
    again.query_params["check"] = case.id
    assert "Strong evidence" in text(again.run())
    assert [check["name"] for check in handed(_start(again), "checks")["checks"]] == ["portrait.jpg"]


def _start(at: AppTest) -> AppTest:
    at.button(key="another").click().run()
    return at


def test_an_address_that_is_no_longer_kept_says_so(page: AppTest) -> None:
    page.query_params["check"] = "of-yesterday"
    page.run()
    assert "no longer kept" in text(page) and "Drop the file again" in text(page)
    assert handed(page, "intake")["zone"]


def test_forgetting_a_check_lets_go_of_the_file(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    case = weakref.ref(case_of(at))
    shelf().drop(case_of(at).id)
    _ = at.run()
    gc.collect()
    assert case() is None, "somebody still holds the user's file"
    assert "Strong evidence" not in text(at)


def test_another_network_checks_the_file_again(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    first = case_of(at)
    at.radio(key="networks").set_value("resnet18").run()
    at = judged(at)
    assert [detector.asked_for for detector in made] == ["default", "resnet18"]
    assert case_of(at) is not first and case_of(at).name == "portrait.jpg"
    assert shelf().find(first.id) is None


def test_what_was_not_looked_at_stands_above_the_headline_with_a_way_to_the_rest(
    page: AppTest, made: list[Any], clip: bytes
) -> None:
    at = judged(drop(page, "cut.mp4", clip))
    first, shown = case_of(at), text(at)
    said = "Stopped early, because reading this file took too much work: 1.5 s of 6.0 s were looked at, 25 %."
    assert shown.index(said) < shown.index("Strong evidence of manipulation (25 % of the video looked at")
    assert "25 % of the video was looked at" in handed(at, "actions")["quote"]
    at.button(key="rest").click().run()
    at = judged(at)
    assert made[0].looks[0] == {} and set(made[0].looks[1]) == {"start_s"}
    assert case_of(at) is not first and shelf().find(first.id) is first, "another check beside the first"
    # which leads to the whole again
    assert at.button(key="rest").label == "Check the whole video"
    at.button(key="rest").click().run()
    judged(at)
    assert made[0].looks[2] == {}


def test_a_sample_of_a_longer_video_leads_to_one_frame_a_second(page: AppTest, made: list[Any], clip: bytes) -> None:
    at = judged(drop(page, "sample.mp4", clip))
    assert "A sample: 32 frames from start to end, 32.0 s of 45.0 s were looked at, 71 %." in text(at)
    at.button(key="rest").click().run()
    at = judged(at)
    assert made[0].looks == [{}, {"max_frames": 64}]
    assert not [b for b in at.button if b.key == "rest"], "all of it was looked at"
    assert "64 frames" in text(at)


def test_a_part_of_a_picture_is_said_and_leads_back_to_the_whole(page: AppTest, made: list[Any], photo: bytes) -> None:
    at = judged(drop(page, "portrait.jpg", photo))
    assert handed(at, "media")["duration"] is None and handed(at, "media")["frames"][0] == 32
    case = Case("portrait.jpg", photo, "default", networks.worker(), Look(region=(0.25, 0.0, 0.75, 0.5)))
    shelf().put(case, handed(at, "intake")["ticket"])
    at.query_params["check"] = case.id
    at = judged(at.run())
    assert made[0].looks[-1] == {"region": (0.25, 0.0, 0.75, 0.5)}
    assert "Only the chosen part of the picture was looked at." in text(at)
    assert "in the chosen region" in text(at) and "a part of the picture" in text(at)
    at.button(key="rest").click().run()
    judged(at)
    assert made[0].looks[-1] == {}


def test_a_band_that_copies_lose_is_called_fragile_in_headline_sentence_and_quotation(
    page: AppTest, photo: bytes
) -> None:
    at = judged(drop(page, "one fragile.jpg", photo))
    shown = text(at)
    assert "Strong evidence of manipulation (fragile)" in shown
    assert "That is the file as it is: saved again, it can fall to “little”." in shown
    assert "This is fragile:" in handed(at, "actions")["quote"]
    assert "fragile" not in text(judged(drop(page, "one.jpg", photo)))


def test_a_choice_that_the_next_set_lacks_gives_way_to_the_default(
    page: AppTest, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page.radio(key="networks").set_value("resnet18").run()
    monkeypatch.setattr(networks, "model_names", lambda: ("average", "efficientnet_b0"))
    page.button(key="sample-hopper.jpg").click().run()
    judged(page)
    assert [detector.asked_for for detector in made] == ["default"]


def test_a_file_of_this_computer_is_read_where_it_lies(page: AppTest, repo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "a clip.mp4"
    path.write_bytes((repo_root / "app" / "samples" / "clip.mp4").read_bytes())
    # as Windows and some file managers copy it
    page.text_input(key="path_text").set_value(f'"{path}" ')
    judged(next(b for b in page.button if b.label == "Check this file").click().run())
    assert case_of(page).source == path and case_of(page).playable == "video/mp4"
    assert "a clip.mp4" in text(page) and str(tmp_path) not in text(page)


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


def test_a_server_opens_no_paths(
    repo_root: Path, made: list[Any], portrait_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_DEPLOYMENT", "server")
    at = AppTest.from_file(str(repo_root / "app" / "page.py"), default_timeout=120).run()
    assert not at.exception and not at.text_input
    assert "can only be opened on that computer itself" in (session.open_path(str(portrait_path)) or "")


def _drawing_again_while_somebody_goes_there() -> None:
    import streamlit
    from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx

    from app.components.frame import draw_again

    streamlit.text("there" if "there" in streamlit.query_params else "here")
    context = get_script_run_ctx()
    assert context is not None and context.script_requests is not None
    if "asked" not in streamlit.session_state:
        streamlit.session_state.asked = True
        context.script_requests.request_rerun(RerunData(query_string="there=1"))
        draw_again()


def test_a_click_elsewhere_goes_before_drawing_again() -> None:
    at = AppTest.from_function(_drawing_again_while_somebody_goes_there, default_timeout=60).run()
    assert [text.value for text in at.text] == ["there"]


def test_nothing_draws_again_past_a_click(repo_root: Path) -> None:
    found = {path.name for path in (repo_root / "app").rglob("*.py") if "st.rerun()" in path.read_text()}
    assert found == {"frame.py"}
    assert (repo_root / "app" / "components" / "frame.py").read_text().count("    st.rerun()") == 1


def test_a_sample_runs(page: AppTest) -> None:
    page.button(key="sample-astronaut_edited.jpg").click().run()
    assert "evidence of manipulation" in text(judged(page))


@pytest.mark.parametrize(
    ("file", "band", "said"),
    [
        ("hopper.jpg", "little", "genuine, and nothing was found"),
        ("hopper.jpg", "strong", "false alarm"),
        ("astronaut.jpg", "little", "genuine, and nothing was found"),
        ("two_portraits.jpg", "little", "misses it"),
        ("astronaut_edited.jpg", "very_strong", "This version finds it"),
        ("clip.mp4", "weak", "weak evidence"),
        ("clip.mp4", "little", "misses it"),
    ],
)
def test_a_sample_teaches_by_its_truth(
    page: AppTest, repo_root: Path, file: str, band: str, said: str, photo: bytes
) -> None:
    at = judged(drop(page, file, (repo_root / "app" / "samples" / file).read_bytes()))
    case = case_of(at)
    assert case.verdict is not None
    assert "A sample." in text(at)
    assert said in lesson(case, replace(case.verdict, band=band))
    # another file of that name is no sample
    assert "A sample." not in text(judged(drop(page, "clip.mp4", photo)))


def test_names_of_files_are_text_and_nevermarkup(page: AppTest, photo: bytes) -> None:
    at = judged(drop(page, "<img src=x onerror=alert(1)>.jpg", photo))
    assert "<img src=x" not in markup(at)
    assert "&lt;img src=x" in markup(at)


@pytest.mark.parametrize("name", ["little.jpg", "strong.jpg", "very.jpg", "noface.jpg"])
def test_no_page_names_a_verdict_that_is_none(page: AppTest, photo: bytes, name: str) -> None:
    at = judged(drop(page, name, photo))
    for tab in ("Networks", "Heatmaps", "How to read this"):
        if name != "noface.jpg":
            at.session_state["tabs"] = tab
            at = judged(at)
        assert not FORBIDDEN.search(text(at)), FORBIDDEN.search(text(at))


def test_missing_weights_are_one_line(repo_root: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise WeightsError("There are no weights. Run `python -m train`.")

    monkeypatch.setattr(networks, "manifest", missing)
    at = AppTest.from_file(str(repo_root / "app" / "page.py"), default_timeout=120).run()
    assert not at.exception
    assert [w.value for w in at.warning] == ["There are no weights. Run `python -m train`."]
    assert not at.file_uploader


def test_an_address_can_be_part_of_a_components_key(page: AppTest, photo: bytes) -> None:
    """Streamlit refuses keys with two underscores, which one address in two hundred held when it was base64."""
    found = {case_of(drop(page, f"copy {i}.jpg", photo)).id for i in range(3)}
    assert len(found) == 3 and all(re.fullmatch(r"[0-9a-f]{32}", address) for address in found)
