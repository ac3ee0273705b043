"""The page in a real browser: Chromium, headless, driven by Playwright. Screenshots are left in tests/artifacts/.

The flows through every part of the page run on a detector of known output (`tests/fakes/fake_app.py`); the last one
runs the app as users start it, with the networks in `weights/`.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from app import charts
from detector import SCHEMA_VERSION

pytestmark = pytest.mark.browser

_SIZES = {1280: 900, 760: 1000, 420: 860, 320: 800}
_QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # whatever asks for a name gets none: the page has to work without any network
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# how long a step may take; a machine that is busy with a training run needs more
_WAIT_S = int(os.environ.get("UNMASK_TEST_WAIT_S", "120"))
_WAIT_MS = 1000 * _WAIT_S


@contextmanager
def _server(command: list[str], cwd: Path, log: Path) -> Iterator[str]:
    """Runs a Streamlit server on a free port of this machine; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--server.port", str(port), "--server.headless", "true"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen([*command, *flags], cwd=cwd, env=environment, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 2 * _WAIT_S
        while not _healthy(address):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the app did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _healthy(address: str) -> bool:
    try:
        with urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    expect.set_options(timeout=_WAIT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=list(_QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def fake_address(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a detector of known output behind it."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with _server([sys.executable, str(repo_root / "tests" / "fakes" / "fake_app.py")], repo_root, log) as address:
        yield address
    assert not _failures(log)


@pytest.fixture(scope="module")
def real_app(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The app as users start it, with the networks in `weights/`: its address and its log."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    streamlit = Path(sys.executable).with_name("streamlit")
    with _server([str(streamlit), "run", "app/main.py"], repo_root, log) as address:
        yield address, log
    assert not _failures(log)


@pytest.fixture(scope="module")
def published(repo_root: Path) -> bool:
    """Whether there are networks to judge with."""
    return (repo_root / "weights" / "manifest.json").is_file()


def _failures(log: Path) -> list[str]:
    """Tracebacks of a server's log that pass through our own code.

    Streamlit's server prints one of its own when a browser leaves before its connection is answered.
    """
    blocks = re.split(r"(?=^.*Traceback \(most recent call last\):)", log.read_text(), flags=re.MULTILINE)
    ours = re.compile(r'File "[^"]*/(app|detector|tests)/')
    return [b for b in blocks[1:] if "site-packages/streamlit/web/server/" not in b or ours.search(b)]


@contextmanager
def _visit(browser: Browser, address: str, width: int = 1280, theme: str = "light", path: str = "") -> Iterator[Page]:
    """A fresh visitor. Fails when the page asks anyone but this server for anything, or when its script breaks."""
    context = browser.new_context(
        viewport={"width": width, "height": _SIZES[width]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    asked: list[str] = []
    errors: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda websocket: asked.append(websocket.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/{path}")
    page.locator(".um h1").first.wait_for()
    try:
        yield page
    except (AssertionError, PlaywrightError) as error:
        error.add_note(f"{page.url} showed: {page.locator('body').inner_text(timeout=5000)[:1500]}")
        error.add_note(f"errors of its scripts: {errors}")
        raise
    finally:
        context.close()
    home = urlsplit(address).netloc
    elsewhere = [url for url in asked if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != home]
    assert not elsewhere, f"requests that leave the machine: {elsewhere}"
    assert not errors


def _whole(page: Page, path: Path) -> None:
    """A picture of the whole page, not of its window."""
    size = page.viewport_size
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    page.wait_for_timeout(700)
    page.screenshot(path=path)
    page.set_viewport_size(size)


def _drop(page: Page, file: Path, name: str | None = None) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": name or file.name, "mimeType": "application/octet-stream", "buffer": file.read_bytes()}
    )


def _drawn(page: Page) -> None:
    """Waits for the verdict and for the picture beside it."""
    page.locator(".um-scale").wait_for()
    page.wait_for_function("() => document.querySelector('.st-key-um-media') !== null")
    expect(page.locator(".fit img").first).to_have_js_property("complete", True)
    expect(page.locator(".fit .box").first).to_be_visible()


def _no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


_SMALL_TEXT = """() => {
  const small = [];
  const walk = (root) => {
    for (const node of root.querySelectorAll('*')) {
      if (node.shadowRoot) walk(node.shadowRoot);
      const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      const box = node.getBoundingClientRect();
      const style = getComputedStyle(node);
      const icon = style.fontFamily.includes('Material');
      const seen = box.width > 1 && box.height > 1 && style.visibility !== 'hidden' && node.checkVisibility();
      const text = !['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.tagName);
      const px = parseFloat(style.fontSize); // 0: a name that only screen readers have
      if (own && seen && text && !icon && px > 0 && px < 14)
        small.push(`${node.tagName} ${style.fontSize} ${node.textContent.trim().slice(0, 40)}`);
    }
  };
  walk(document.body);
  return small;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 760, 420])
def test_every_size_and_theme(
    browser: Browser, fake_address: str, repo_root: Path, artifacts_dir: Path, width: int, theme: str
) -> None:
    with _visit(browser, fake_address, width, theme) as page:
        assert page.locator("html").get_attribute("lang") == "en"
        expect(page.get_by_text("Nothing is uploaded or kept.")).to_be_visible()
        page.get_by_role("button", name="Check the portrait").wait_for()
        _no_sideways_scroll(page)
        _whole(page, artifacts_dir / f"first-{width}-{theme}.png")
        assert page.evaluate(_SMALL_TEXT) == []
        assert "Inter" in page.evaluate(
            "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family).join()"
        )
        _drop(page, repo_root / "app" / "samples" / "clip.mp4")
        _drawn(page)
        _no_sideways_scroll(page)
        head, verdict, media = (
            page.locator(f".st-key-um-{part}").bounding_box() for part in ("head", "verdict", "media")
        )
        assert head and verdict and media
        if width > 900:
            assert abs(head["y"] - media["y"]) < 4
        elif width > 640:
            assert verdict["y"] + verdict["height"] <= media["y"]
        else:  # a phone shows what was found, the picture, then the reasons
            assert head["y"] + head["height"] <= media["y"]
            assert media["y"] + media["height"] <= verdict["y"]
        _whole(page, artifacts_dir / f"video-{width}-{theme}.png")
        assert page.evaluate(_SMALL_TEXT) == []
        page.locator(".st-key-um-nav").get_by_role("link", name="Models").click()
        page.get_by_role("heading", name="Models", exact=True).wait_for()
        page.get_by_text("For researchers").click()
        page.get_by_role("heading", name="Model cards").wait_for()
        _no_sideways_scroll(page)
        _whole(page, artifacts_dir / f"models-{width}-{theme}.png")


def test_a_late_call_with_older_data_changes_nothing(browser: Browser, repo_root: Path) -> None:
    """Streamlit's calls of a part overtake each other when the browser is busy."""
    script = "".join((repo_root / "app" / "assets" / name).read_text() for name in ("ui.js", "checks.js"))
    page = browser.new_page()
    shown = page.evaluate(
        """async (script) => {
          const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
          document.body.innerHTML = ["a", "b"].map((id) => `<div id="${id}"><div class="root"></div></div>`).join("");
          const draw = (id, turn, name) => module.default({ setTriggerValue() {},
            parentElement: document.getElementById(id),
            data: { turn, base: "", checks: [{ id: "1", name, state: "done", said: "", facts: "" }] } });
          draw("a", 2, "newer"); draw("a", 1, "older"); draw("b", 1, "another");
          return [...document.querySelectorAll("th a")].map((link) => link.textContent);
        }""",
        script,
    )
    page.close()
    assert shown == ["newer", "another"]


_SERIOUS = ("serious", "critical")


def _violations(page: Page) -> list[str]:
    """What axe-core finds that keeps people out: serious and critical, in every part of the page."""
    # whatever fades in or out has come to rest, and the pointer lights nothing up
    page.mouse.move(1, 400)
    page.wait_for_timeout(250)
    found = Axe().run(page).response["violations"]
    nodes = [(rule, node) for rule in found if rule["impact"] in _SERIOUS for node in rule["nodes"]]
    headings = page.get_by_role("heading", level=1).count()
    return [f"{rule['id']}: {node['html'][:160]}" for rule, node in nodes] + (
        [] if headings == 1 else ["no one heading"]
    )


def test_a_button_without_a_name_is_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<main><h1>Title</h1><button></button></main>")
    assert any(found.startswith("button-name") for found in _violations(page))
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_everybody_can_use_every_state_of_a_check(
    browser: Browser, fake_address: str, repo_root: Path, portrait_path: Path, width: int, theme: str
) -> None:
    """axe-core on whatever a reader can reach by clicks; 320 px is also a window of 640 at 200 %."""
    problems: dict[str, list[str]] = {}

    def check(page: Page, state: str) -> None:
        problems[state] = _violations(page)
        _no_sideways_scroll(page)

    def start(page: Page) -> None:
        page.get_by_role("button", name=re.compile("Check another|All checks")).click()
        page.get_by_role("heading", name="Check a photo or a video").wait_for()

    with _visit(browser, fake_address, width, theme) as page:
        page.get_by_role("button", name="Check the portrait").wait_for()
        check(page, "first visit")
        page.get_by_role("button", name="Open by path").click()
        page.get_by_label("Path of a photo or a video").wait_for()
        check(page, "path")
        page.keyboard.press("Escape")
        _drop(page, portrait_path, "endless.jpg")
        page.get_by_text(re.compile("^Reading frames")).wait_for()
        check(page, "waiting")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("heading", name="Check a photo or a video").wait_for()
        _drop(page, portrait_path)
        _drawn(page)
        check(page, "photo")
        for section in ("Numbers", "How to read this", "What this result was made with"):
            page.get_by_text(section, exact=True).click()
        page.get_by_role("button", name="Where the network looked").click()
        page.get_by_role("button", name="Look closer").click()
        page.get_by_role("button", name="Save…").click()
        check(page, "photo with everything open")
        page.keyboard.press("Escape")
        start(page)
        _drop(page, repo_root / "app" / "samples" / "clip.mp4", "cut.mp4")
        _drawn(page)
        page.get_by_role("button", name="Check the rest").wait_for()
        page.get_by_role("button", name="Look closer").click()
        check(page, "video that was cut short")
        start(page)
        _drop(page, repo_root / "app" / "samples" / "clip.mp4")
        _drawn(page)
        check(page, "video")
        start(page)
        check(page, "table of checks")
        _drop(page, portrait_path, "noface.jpg")
        page.get_by_role("heading", name="No verdict").wait_for()
        check(page, "no verdict")
        start(page)
        _drop(page, portrait_path, "bug.jpg")
        page.get_by_role("heading", name="No result").wait_for()
        check(page, "a bug")
    assert not {state: found for state, found in problems.items() if found}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_everybody_can_use_every_other_page(browser: Browser, fake_address: str, width: int, theme: str) -> None:
    problems: dict[str, list[str]] = {}
    with _visit(browser, fake_address, width, theme) as page:
        for link in ("Models", "About"):
            page.locator(".st-key-um-nav").get_by_role("link", name=link).click()
            page.get_by_role("heading", level=1, name=link).wait_for()
            problems[link] = _violations(page)
            _no_sideways_scroll(page)
        page.locator(".st-key-um-nav").get_by_role("link", name="Models").click()
        page.get_by_text("For researchers").click()
        page.get_by_role("heading", name="Model cards").wait_for()
        problems["tables for researchers"] = _violations(page)
        _no_sideways_scroll(page)
    assert not {state: found for state, found in problems.items() if found}


def test_photo_map_copy_and_save(browser: Browser, fake_address: str, portrait_path: Path, artifacts_dir: Path) -> None:
    with _visit(browser, fake_address) as page:
        _drop(page, portrait_path)
        _drawn(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Strong evidence of manipulation")
        expect(page).to_have_title("Strong evidence of manipulation · astronaut.jpg · Unmask")
        # a screen reader is told, and goes on at the heading
        expect(page.get_by_role("status").filter(has_text="Result: Strong evidence")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        heat = page.locator(".fit img.heat")
        expect(heat).to_be_hidden()
        look = page.get_by_role("button", name="Where the network looked")
        look.click()
        expect(look).to_have_attribute("aria-pressed", "true")
        expect(heat).to_be_visible()
        expect(page.get_by_text("do not quote them")).to_be_visible()
        page.get_by_label("Network whose map is shown").select_option("EfficientNet-B0")
        expect(heat).to_be_visible()
        page.get_by_role("button", name="Face 2: Little, score 4").click()
        expect(page.get_by_role("button", name=re.compile("^Face 2 "))).to_have_attribute("aria-pressed", "true")
        _whole(page, artifacts_dir / "photo-map.png")
        look.click()
        expect(heat).to_be_hidden()
        # the server was not asked to draw the page again
        assert page.locator(".stApp").get_attribute("data-test-script-state") in (None, "notRunning")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy sentence").click()
        expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.endswith("This is a lead, not proof.")
        assert copied in page.locator(".um-quote").inner_text()
        page.get_by_role("button", name="Save…").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Data (JSON)").click()
        result = json.loads(Path(download.value.path()).read_text())
        assert result["schema_version"] == SCHEMA_VERSION
        assert result["band"] == "strong" and download.value.suggested_filename == "astronaut.unmask.json"
        with page.expect_download() as download:
            page.get_by_role("button", name="Marked photo").click()
        assert Path(download.value.path()).read_bytes()[:2] == b"\xff\xd8"


def test_a_part_of_a_photo_is_drawn_or_typed_and_checked(
    browser: Browser, fake_address: str, portrait_path: Path, artifacts_dir: Path
) -> None:
    with _visit(browser, fake_address) as page:
        _drop(page, portrait_path, "one.jpg")
        _drawn(page)
        look = page.get_by_role("button", name="Look closer")
        go = page.get_by_role("button", name="Check this part")
        expect(go).to_be_hidden()
        look.click()
        expect(look).to_have_attribute("aria-expanded", "true")
        # what is proposed is the face with room around it
        expect(go).to_be_enabled()
        page.get_by_label("Left, %").fill("0")
        page.get_by_label("Top, %").fill("0")
        page.get_by_label("Right, %").fill("100")
        page.get_by_label("Bottom, %").fill("100")
        expect(go).to_be_disabled()
        fit = page.locator(".fit").bounding_box()
        assert fit
        corner = (fit["x"] + 0.25 * fit["width"], fit["y"] + 0.1 * fit["height"])
        page.mouse.move(*corner)
        page.mouse.down()
        page.mouse.move(corner[0] + 0.5 * fit["width"], corner[1] + 0.4 * fit["height"], steps=4)
        page.mouse.up()
        expect(page.get_by_label("Left, %")).to_have_value("25")
        expect(page.get_by_label("Bottom, %")).to_have_value("50")
        # a corner, then the whole frame, is moved
        page.mouse.move(corner[0] + 0.5 * fit["width"], corner[1] + 0.4 * fit["height"])
        page.mouse.down()
        page.mouse.move(corner[0] + 0.4 * fit["width"], corner[1] + 0.3 * fit["height"], steps=4)
        page.mouse.up()
        expect(page.get_by_label("Right, %")).to_have_value("65")
        page.mouse.move(corner[0] + 0.2 * fit["width"], corner[1] + 0.2 * fit["height"])
        page.mouse.down()
        page.mouse.move(corner[0] + 0.3 * fit["width"], corner[1] + 0.2 * fit["height"], steps=4)
        page.mouse.up()
        expect(page.get_by_label("Left, %")).to_have_value("35")
        expect(page.get_by_label("Right, %")).to_have_value("75")
        _whole(page, artifacts_dir / "look-closer.png")
        go.click()
        page.get_by_text("Only the chosen part of the picture was looked at.").wait_for()
        said = "Strong evidence of manipulation"
        # while the page is redrawn the heading of the wait may still be there
        page.get_by_role("heading", name=f"{said} (in the chosen region)").wait_for()
        page.get_by_role("button", name="Check the whole picture").click()
        page.get_by_role("heading", name=said, exact=True).wait_for()
        page.get_by_role("button", name="All checks").click()
        page.get_by_role("heading", name="3 checks").wait_for()


def test_a_part_of_a_videos_time_is_checked(browser: Browser, fake_address: str, repo_root: Path) -> None:
    with _visit(browser, fake_address) as page:
        _drop(page, repo_root / "app" / "samples" / "clip.mp4")
        _drawn(page)
        page.get_by_role("button", name="Look closer").click()
        go = page.get_by_role("button", name="Check this part")
        expect(go).to_be_disabled()
        page.get_by_label("From, s").fill("4")
        page.get_by_label("To, s").fill("2")
        expect(go).to_be_disabled()
        page.get_by_label("To, s").fill("5.5")
        page.get_by_label("Frames", exact=True).select_option("64")
        go.click()
        page.get_by_text("Only the part from 4.0 to 5.5 s of 6.0 s was looked at, as asked.").wait_for()
        expect(page.locator(".um-file")).to_contain_text("4.0 to 5.5 s · 64 frames")


def test_a_change_of_theme_reaches_the_charts(browser: Browser, real_app: tuple[str, Path], published: bool) -> None:
    if not published:
        pytest.skip("without weights there are no charts")
    with _visit(browser, real_app[0], path="models") as page:
        page.get_by_text("For researchers").click()
        names = page.locator(".js-plotly-plot .legendtext")
        expect(names.first).to_have_css("fill", _rgb(charts.INK["light"]))
        count = names.count()
        page.emulate_media(color_scheme="dark")
        for i in range(count):
            expect(names.nth(i)).to_have_css("fill", _rgb(charts.INK["dark"]))
        expect(page.locator(".um h1").first).to_have_css("color", _rgb(charts.INK["dark"]))


def _rgb(hexadecimal: str) -> str:
    return f"rgb({', '.join(str(int(hexadecimal[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_what_the_page_itself_costs(
    browser: Browser, fake_address: str, portrait_path: Path, artifacts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted, since times on a busy machine say nothing: how often the page is drawn for one check; times are printed.

    A drawing is what costs: a dropped file and the end of a check are one each, and whoever waits asks little.
    """
    sent: list[float] = []
    asked: list[str] = []
    with _visit(browser, fake_address) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append(time.monotonic())))
        # the connection of this page was made before anybody listened
        page.reload()
        page.get_by_text("Choose files").wait_for()
        times = []
        for _ in range(5):
            expect(page.get_by_role("status").filter(has_text="Result")).to_have_count(0)
            page.wait_for_function("document.querySelector('.stApp').dataset.testScriptState !== 'running'")
            sent.clear()
            asked.clear()
            start = time.monotonic()
            _drop(page, portrait_path)
            page.locator(".um-scale").wait_for()
            times.append(time.monotonic() - start)
            page.locator(".fit .box").first.wait_for()
            assert len(sent) <= 3, "a file that came and a check that ended draw the page once each"
            polls = [url for url in asked if re.search(r"/check/[0-9a-f]{32}(\?wait=1)?$", url)]
            assert len(polls) <= 2 + 5 * times[-1], "whoever waits for a check asks a few times a second"
            page.get_by_role("button", name=re.compile("Check another|All checks")).click()
            page.get_by_text("Choose files").wait_for()
    figures = {"seconds_to_verdict": [round(seconds, 2) for seconds in times], "median": round(sorted(times)[2], 2)}
    (artifacts_dir / "page.json").write_text(json.dumps(figures))
    with capsys.disabled():
        print(f"\npage, with a check of 0.1 s: {figures}")


def test_video_chart_slider_strip_and_play_show_the_same_frame(
    browser: Browser, fake_address: str, repo_root: Path, artifacts_dir: Path
) -> None:
    with _visit(browser, fake_address) as page:
        _drop(page, repo_root / "app" / "samples" / "clip.mp4")
        _drawn(page)
        chart = page.locator(".chart")
        box = chart.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * 3.84 / 6, box["y"] + 30)
        expect(page.get_by_text("Frame at 3.8 s")).to_be_visible()
        slider = page.get_by_role("slider", name="Time of the frame on show")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^3\.8 s, Person 1: .*score \d+$"))
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text("Frame at 4.0 s")).to_be_visible()
        # picture, chart and slider lie in one window
        assert page.locator(".fit").bounding_box()["y"] > 0 and box["y"] + box["height"] < page.viewport_size["height"]
        page.get_by_role("button", name="Show the frame at 1.2 s").click()
        expect(page.get_by_text("Frame at 1.2 s")).to_be_visible()
        page.get_by_role("button", name=re.compile("^Person 2 ")).click()
        expect(slider).to_have_attribute("aria-valuetext", re.compile("Person 2"))
        _whole(page, artifacts_dir / "video-person-2.png")
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        before = slider.input_value()
        expect(slider).not_to_have_value(before)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_addresses_back_forward_reload_and_what_is_lost(
    browser: Browser, fake_address: str, portrait_path: Path
) -> None:
    start, found = "Check a photo or a video for manipulated faces", "Strong evidence of manipulation"
    with _visit(browser, fake_address) as page:
        heading = page.get_by_role("heading", level=1)
        _drop(page, portrait_path)
        expect(heading).to_have_text(found)
        assert "?check=" in page.url
        page.go_back()
        expect(heading).to_have_text(start)
        page.go_forward()
        expect(heading).to_have_text(found)
        page.reload()
        expect(heading).to_have_text(found)
        page.locator(".st-key-um-nav").get_by_role("link", name="About").click()
        expect(heading).to_have_text("About Unmask")
        page.locator(".st-key-um-nav").get_by_role("link", name="Check").click()
        expect(heading).to_have_text(found)
        page.goto(f"{fake_address}/?check=of-yesterday")
        page.get_by_text("no longer kept").wait_for()


def test_several_files_and_one_from_the_clipboard(browser: Browser, fake_address: str, portrait_path: Path) -> None:
    data = portrait_path.read_bytes()
    with _visit(browser, fake_address) as page:
        page.locator("input[type=file]").set_input_files(
            [{"name": f"copy {i}.jpg", "mimeType": "image/jpeg", "buffer": data} for i in range(3)]
        )
        page.get_by_role("heading", name="3 checks").wait_for()
        expect(page.get_by_role("row").filter(has_text="Strong evidence of manipulation")).to_have_count(3)
        # the rows follow by themselves, facts as well
        expect(page.get_by_role("row").filter(has_text=re.compile("photo · .*SHA-256"))).to_have_count(3)
        page.get_by_role("button", name="Forget copy 1.jpg").click()
        page.get_by_role("heading", name="2 checks").wait_for()
        page.get_by_role("link", name="copy 2.jpg").click()
        page.get_by_role("heading", name="Strong evidence").wait_for()
        page.evaluate(
            """(bytes) => {
              const carried = new DataTransfer();
              carried.items.add(new File([new Uint8Array(bytes)], "noface.png", { type: "image/png" }));
              document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true }));
            }""",
            list(data),
        )
        page.get_by_role("heading", name="No verdict").wait_for()


def test_cancel_and_errors(browser: Browser, fake_address: str, portrait_path: Path, artifacts_dir: Path) -> None:
    with _visit(browser, fake_address, 420) as page:
        # long enough to be cancelled whatever else the machine does
        _drop(page, portrait_path, "long.jpg")
        page.get_by_text(re.compile(r"^Reading frames, \d+ of 100")).wait_for()
        expect(page.get_by_alt_text("First frame")).to_be_visible()
        page.get_by_text(re.compile(r"(About \d+ s|A few seconds) left")).first.wait_for()
        expect(page).to_have_title("Checking long.jpg · Unmask")
        _whole(page, artifacts_dir / "progress.png")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("heading", name="Check a photo or a video").wait_for()
        _drop(page, portrait_path, "bug.jpg")
        page.get_by_test_id("stAlert").get_by_text("Something went wrong on our side.").wait_for()
        assert "Traceback" not in page.content()
        page.get_by_role("button", name=re.compile("Check another|All checks")).click()
        _drop(page, portrait_path, "noface.jpg")
        expect(page.get_by_role("heading", level=1)).to_have_text("No verdict")


def test_a_server_that_stops_is_told_in_our_own_words(
    browser: Browser, repo_root: Path, portrait_path: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(repo_root / "tests" / "fakes" / "fake_app.py")]
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    with _server(command, repo_root, tmp_path / "log.txt") as address:
        page.goto(address)
        page.get_by_text("Choose files").wait_for()
        _drop(page, portrait_path)
        _drawn(page)
    page.get_by_text("Unmask is not running any more").wait_for()
    expect(page.get_by_role("heading", level=1)).to_have_text("Strong evidence of manipulation")
    page.get_by_role("button", name="Save…").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Data (JSON)").click()
    assert json.loads(Path(download.value.path()).read_text())["band"] == "strong"
    context.close()


def test_twenty_clicks_between_the_pages_during_a_check_on_a_busy_machine(
    browser: Browser, fake_address: str, portrait_path: Path
) -> None:
    """Whatever the server does just then: the page that was clicked last comes, and no script of the page breaks."""
    headings = {"Live": "Live camera", "Models": "Models", "Check": "Checking endless.jpg"}
    hog = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(hog) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        # fails on any error of the page's scripts
        with _visit(browser, fake_address) as page:
            _drop(page, portrait_path, "endless.jpg")
            page.get_by_role("button", name="Cancel").wait_for()
            for click, name in enumerate(("About", "Check", "Models", "Check", "Live") * 4):
                page.locator(".st-key-um-nav").get_by_role("link", name=name, exact=True).click()
                # most clicks come before the page of the one before has
                if click % 5 in (2, 3):
                    page.get_by_role("heading", level=1, name=headings[name], exact=True).wait_for()
            page.locator(".st-key-um-nav").get_by_role("link", name="Check", exact=True).click()
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("heading", name="Check a photo or a video").wait_for()
    finally:
        for process in hogs:
            process.kill()
            process.wait()


@pytest.fixture
def camera_browser(browser: Browser, chromium_path: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser whose camera plays a file: two faces that move, 854 x 480."""
    import av

    from tests.bench.files import make_clip

    clip, camera = tmp_path / "clip.mp4", tmp_path / "camera.mjpeg"
    make_clip(clip, seconds=3.0, size=(854, 480))
    # what Chromium takes is one JPEG after the other
    with av.open(str(clip)) as given, camera.open("wb") as made:
        for frame in given.decode(video=0):
            frame.to_image().save(made, "JPEG", quality=85)
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    # by the Playwright that runs already: a thread can have but one
    chromium = browser.browser_type.launch(executable_path=chromium_path, args=[*_QUIET, *flags])
    yield chromium
    chromium.close()


def _processor_seconds(name: str) -> float:
    """Processor time that running programs of this name have used so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            inside, _, rest = stat.read_text().rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        if name in inside:
            ticks += sum(int(value) for value in rest.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_a_camera_that_is_refused_is_told(browser: Browser, fake_address: str) -> None:
    # the browser of these tests refuses without asking
    with _visit(browser, fake_address, path="live") as page:
        page.context.clear_permissions()
        page.frame_locator("iframe[title*=webrtc]").get_by_role("button", name="Start camera").click()
        page.get_by_role("alert").filter(has_text=re.compile("did not allow the camera|No camera was found")).wait_for()


def test_live_camera(
    camera_browser: Browser, real_app: tuple[str, Path], artifacts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published networks on a camera, without any network: boxes and bands appear, the stream is not held up."""
    with _visit(camera_browser, real_app[0], path="live") as page:
        frame = page.frame_locator("iframe[title*=webrtc]")
        frame.get_by_role("button", name="Start camera").click()
        # whatever its number: a face that is lost for a moment comes back under the next one
        page.get_by_text(re.compile(r"Face \d+")).first.wait_for()
        page.get_by_text(re.compile("evidence, .* %")).first.wait_for()
        page.wait_for_timeout(3000)
        chromium, started = _processor_seconds("chrom"), time.monotonic()
        page.wait_for_timeout(5000)
        share = (_processor_seconds("chrom") - chromium) / (time.monotonic() - started)
        page.get_by_text("Figures", exact=True).click()
        pace = page.locator(".um-live-pace").inner_text()
        found = re.match(r"(\d+) pictures a second, ([\d.]+) judged a second, (\d+) ms behind", pace)
        assert found, pace
        figures = dict(
            zip(("frames_per_second", "analysed_per_second", "latency_ms"), map(float, found.groups()), strict=True)
        )
        figures["chromium_cores"] = round(share, 2)
        (artifacts_dir / "live.json").write_text(json.dumps(figures))
        with capsys.disabled():
            print(f"\nlive camera: {figures}")
        _whole(page, artifacts_dir / "live.png")
        # the goal of twelve is measured on a quiet machine; a stream that waits for the networks stays below this
        assert figures["frames_per_second"] >= 5
        frame.get_by_role("button", name="Stop camera").click()
        page.get_by_text("Camera off").wait_for()


def test_the_app_as_users_start_it(
    browser: Browser,
    repo_root: Path,
    real_app: tuple[str, Path],
    published: bool,
    portrait_path: Path,
    artifacts_dir: Path,
) -> None:
    """`streamlit run app/main.py` from the repository root, with the networks that come with it."""
    address, log = real_app
    with _visit(browser, address) as page:
        if not published:
            page.get_by_text("There are no weights").wait_for()
            return
        _drop(page, portrait_path)
        page.locator(".um-scale").wait_for(timeout=2 * _WAIT_MS)
        _drawn(page)
        # a network that found nothing has no place to show, and says so
        page.get_by_role("button", name="Where the network looked").click()
        expect(page.locator(".fit img.heat:not([hidden])").or_(page.get_by_text("No place stands out"))).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("evidence of manipulation"))
        _whole(page, artifacts_dir / "real-photo.png")
        page.get_by_role("button", name="Check another").click()
        _drop(page, repo_root / "app" / "samples" / "clip.mp4")
        page.locator(".chart").wait_for(timeout=2 * _WAIT_MS)
        _drawn(page)
        page.get_by_text(re.compile(r"Frame at \d+\.\d s")).wait_for()
        _whole(page, artifacts_dir / "real-video.png")
        page.locator(".st-key-um-nav").get_by_role("link", name="Models").click()
        page.locator(".um-kinds").wait_for()
        _whole(page, artifacts_dir / "real-models.png")
    assert portrait_path.name not in log.read_text()
