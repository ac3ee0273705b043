"""Content Credentials as five facts, on pictures signed here by a made-up authority, and on the library's own codes."""

import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from detector.evidence import Credentials
from detector.provenance import __main__ as program
from detector.provenance import credentials as module
from detector.provenance.claims import claims_of
from detector.provenance.credentials import MIME, from_store, read_credentials, settings
from detector.provenance.packets import collect_packets
from detector.provenance.reading import summary
from detector.provenance.trust import CLOCKS, FOLDER, SIGNERS, STALE_DAYS, TrustListError, take_lists, trust_lists
from tests.fakes.credentials import CAMERA, GENERATED, Signer, make_signer, sign

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff", "GIF": "image/gif"}


@pytest.fixture(scope="module")
def signer() -> Signer:
    return make_signer()


def picture(kind: str = "JPEG") -> bytes:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def clip() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def read(data: bytes, today: date | None = None) -> Credentials:
    file = io.BytesIO(data)
    return read_credentials(file, collect_packets(file), today)


def codes(found: Credentials) -> list[str]:
    return [line.code for line in found.facts]


@pytest.fixture
def trusting(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up authority on the list of signers."""
    lists = replace(trust_lists(), signers=trust_lists().signers + "\n" + signer.anchor)
    monkeypatch.setattr(module, "trust_lists", lambda: lists)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_unknown_signer_is_not_a_change(kind: str, signer: Signer) -> None:
    found = read(sign(picture(kind), FORMATS[kind], signer))
    assert found.state == "present"
    assert codes(found) == ["binding.match", "signature.whole", "signer.not_on_list", "time.none"]
    assert [line.code for line in found.claims] == ["claim.trainedAlgorithmicMedia"]
    assert "Test Newsroom" in found.fact("signer").text  # type: ignore[union-attr]


def test_a_video_carries_them_too(signer: Signer) -> None:
    found = read(sign(clip(), "video/mp4", signer, CAMERA))
    assert codes(found)[:2] == ["binding.match", "signature.whole"]
    assert found.claims[0].says == "camera"


@pytest.mark.usefixtures("trusting")
def test_a_signer_of_the_list_is_said_to_be_on_it(signer: Signer) -> None:
    found = read(sign(picture(), "image/jpeg", signer))
    assert codes(found) == ["binding.match", "signature.whole", "signer.on_list", "time.none"]
    assert found.trust_list == trust_lists().published.isoformat()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_one_flipped_byte_of_the_pixels_reads_as_changed(kind: str, signer: Signer) -> None:
    data = bytearray(sign(picture(kind), FORMATS[kind], signer))
    # inside the coded pixels
    at = bytes(data).rindex({"JPEG": b"\xff\xda", "PNG": b"IDAT", "WEBP": b"VP8 "}[kind]) + 60
    data[at] ^= 1
    found = read(bytes(data))
    assert codes(found)[:3] == ["binding.mismatch", "signature.whole", "signer.not_on_list"]
    assert "before that change" in found.claims[0].text
    assert found.facts[0].says == "changed"


def test_one_flipped_byte_of_a_video_reads_as_changed(signer: Signer) -> None:
    data = bytearray(sign(clip(), "video/mp4", signer))
    data[bytes(data).index(b"mdat") + 60] ^= 1
    assert codes(read(bytes(data)))[0] == "binding.mismatch"


def test_an_altered_statement_is_told_from_altered_pixels(signer: Signer) -> None:
    data = sign(picture(), "image/jpeg", signer)
    found = read(data.replace(b"trainedAlgorithmicMedia", b"tralnedAlgorithmicMedia", 1))
    assert codes(found)[1] in ("signature.statements_changed", "signature.broken")
    assert codes(found)[0] == "binding.match"


@pytest.mark.usefixtures("trusting")
def test_a_statement_altered_after_signing_is_nobodys_and_says_so_first(signer: Signer) -> None:
    data = sign(picture(), "image/jpeg", signer, CAMERA)
    assert codes(read(data))[2] == "signer.on_list"
    found = read(data.replace(b"digitalCapture", b"digitalCapturf", 1))
    assert codes(found)[2] == "signer.not_shown"
    assert all(line.text.startswith("A statement whose signature does not hold") for line in found.claims[:-1])
    assert summary(found, (), ()).endswith("So what its Content Credentials say counts for nothing.")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (picture("BMP"), "Content Credentials are not defined for this kind of file."),
        (b"plain words", "Content Credentials are not defined for this kind of file."),
        (picture(), "No Content Credentials and no label"),
    ],
)
def test_the_summary_tells_none_from_not_defined(data: bytes, said: str) -> None:
    text = summary(read(data), (), ())
    assert text.startswith(said) and text.endswith("easily lost or removed.")


def test_the_summary_of_damaged_credentials_is_that_they_are_damaged(signer: Signer) -> None:
    data = bytearray(sign(picture(), "image/jpeg", signer))
    start = bytes(data).index(b"jumb")
    data[start + 8 : start + 200] = b"\xff" * 192
    found = read(bytes(data))
    assert summary(found, (), ()) == found.text


def test_an_expired_certificate_without_a_time_stamp() -> None:
    short = make_signer(valid_days=(-1, 1.5 / 86400))
    data = sign(picture(), "image/jpeg", short)
    time.sleep(2.5)
    found = read(data)
    assert codes(found) == ["binding.match", "signature.whole", "signer.not_on_list_expired", "time.none"]
    assert "nothing shows when" in found.fact("time").text  # type: ignore[union-attr]


def test_the_claim_of_an_earlier_version_is_found(signer: Signer) -> None:
    before = sign(picture(), "image/jpeg", signer, GENERATED)
    found = read(sign(picture(), "image/jpeg", signer, None, parent=before))
    assert found.manifests == 2
    assert [(line.code, line.where) for line in found.claims] == [
        ("claim.trainedAlgorithmicMedia", "Content Credentials, an earlier version")
    ]


CV = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.mark.parametrize(
    ("action", "code", "says", "words"),
    [
        ({"action": "c2pa.edited", "digitalSourceType": f"{CV}compositeWithTrainedAlgorithmicMedia"},
         "edited_generated", "partly_generated", "it was edited with a generative model (Test Maker)."),
        ({"action": "c2pa.placed", "digitalSourceType": f"{CV}trainedAlgorithmicMedia", "softwareAgent": "Brush"},
         "edited_generated", "partly_generated", "edited with a generative model: placed (Brush, Test Maker)."),
        ({"action": "c2pa.filtered", "digitalSourceType": f"{CV}digitalArt"},
         "edited_may_be_generated", "may_be_generated", "may have used a generative model: filtered"),
        ({"action": "c2pa.adjustedColor", "digitalSourceType": f"{CV}humanEdits"},
         "edited", "edited", "without a generative model: adjusted color"),
        ({"action": "c2pa.cropped"}, "edited_how_not_said", "edited", "edited; with what kind of tool is not said"),
        # converting says nothing of the content, whatever stands beside it
        ({"action": "c2pa.converted", "digitalSourceType": f"{CV}trainedAlgorithmicMedia"},
         "content_stays", "nothing", "leave its content as it is: converted"),
    ],
)  # fmt: skip
def test_what_was_done_later_is_told_from_how_it_began(
    action: dict[str, str], code: str, says: str, words: str, signer: Signer
) -> None:
    found = read(sign(picture(), "image/jpeg", signer, CAMERA, edits=[action]))
    began, later = found.claims
    assert (began.code, began.says) == ("claim.digitalCapture", "camera")
    assert (later.code, later.says) == (f"claim.{code}", says)
    assert words in later.text


def test_a_source_without_credentials_of_its_own_is_said(signer: Signer) -> None:
    found = read(sign(picture(), "image/jpeg", signer, None, parent=picture()))
    assert [line.code for line in found.claims] == ["claim.unknown_provenance"]
    assert "“before”" in found.claims[0].text and "nothing is stated" in found.claims[0].text


@pytest.mark.parametrize(
    ("edits", "whole", "incomplete"),
    [
        ([], True, False),
        ([], False, True),
        ([{"action": "c2pa.unknown"}], True, True),
        ([{"action": "org.example.glow"}], True, True),
    ],
)
def test_a_list_of_steps_that_may_lack_some_says_so(
    edits: list[dict[str, str]], whole: bool, incomplete: bool, signer: Signer
) -> None:
    found = read(sign(picture(), "image/jpeg", signer, edits=edits, whole=whole))
    assert ("claim.steps_incomplete" in [line.code for line in found.claims]) == incomplete


def test_a_hostile_list_of_steps_stays_short() -> None:
    steps = [{"action": f"org.example.{i}", "softwareAgent": {"name": "x" * 500}} for i in range(5000)]
    steps += [None, 7, {"action": None}, {"action": ["c2pa.edited"]}, {"digitalSourceType": 1}]  # type: ignore[list-item]
    manifest = {
        "assertions": [{"data": {"actions": steps}}, {"data": None}, 3],
        "ingredients": [1, {"title": "y" * 900}],
    }
    lines = claims_of({"a": manifest, "b": {}}, "a", "The signed statement")
    assert len(lines) < 10 and all(len(line.text) < 1000 for line in lines)


def test_credentials_on_the_web_are_named_and_not_fetched(signer: Signer) -> None:
    found = read(sign(picture(), "image/jpeg", signer, remote="https://manifests.example.org/1.c2pa"))
    assert found.state == "elsewhere" and "manifests.example.org" in found.text and "not fetched" in found.text


def test_a_large_damaged_video_costs_no_seconds() -> None:
    data = clip()
    data = b"\xff" + data[1:8] + bytes(range(256)) * 40_000
    began = time.process_time()
    assert read(data).state == "none"
    assert time.process_time() - began < 1


def test_settings_leave_every_door_to_the_network_closed() -> None:
    told = settings(trust_lists())
    assert told["verify"]["remote_manifest_fetch"] is False and told["verify"]["ocsp_fetch"] is False
    assert told["core"]["allowed_network_hosts"] == []


@pytest.mark.parametrize("kind", ["BMP", "PNG"])
def test_a_file_without_any(kind: str) -> None:
    found = read(picture(kind))
    assert found.state == ("not_defined" if kind == "BMP" else "none")
    assert ("not defined" in found.text) == (kind == "BMP")
    assert not found.facts and not found.claims


@pytest.mark.parametrize("name", ["matroska", "BMP", "flv", "asf", "mpegts", None])
def test_formats_that_cannot_carry_them(name: str | None) -> None:
    assert name not in MIME


def test_damaged_credentials_are_not_taken_for_none(signer: Signer) -> None:
    data = bytearray(sign(picture(), "image/jpeg", signer))
    start = bytes(data).index(b"jumb")
    data[start + 8 : start + 200] = b"\xff" * 192
    assert read(bytes(data)).state == "unreadable"


STORE = {
    "active_manifest": "urn:1",
    "manifests": {"urn:1": {"signature_info": {"issuer": "Maker", "common_name": "Maker Key", "time": "2026-05-01"}}},
}


def facts_of(
    good: tuple[str, ...] = (), bad: tuple[str, ...] = (), notes: tuple[str, ...] = (), why: str = ""
) -> list[str]:
    def entries(names: tuple[str, ...]) -> list[dict[str, str]]:
        return [{"code": name, "explanation": why} for name in names]

    results = {"success": entries(good), "informational": entries(notes), "failure": entries(bad)}
    store = {**STORE, "validation_results": {"activeManifest": results}}
    return codes(from_store(store, trust_lists(), date(2026, 9, 1)))


WHOLE = ("claimSignature.validated", "assertion.dataHash.match")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # Samsung's: the certificate lacks a purpose
        (
            facts_of(WHOLE, ("signingCredential.untrusted", "signingCredential.invalid")),
            ["binding.match", "signature.whole", "signer.faulty", "time.not_on_list"],
        ),
        # Black Forest Labs': run out, with a time stamp of a service that is not on the list
        (
            facts_of(WHOLE, ("signingCredential.untrusted", "signingCredential.expired"), ("timeStamp.untrusted",)),
            ["binding.match", "signature.whole", "signer.not_on_list_expired", "time.not_on_list"],
        ),
        (facts_of((*WHOLE, "signingCredential.trusted"), ("signingCredential.expired",))[2:3], ["signer.expired"]),
        (facts_of((*WHOLE, "signingCredential.trusted"), ("signingCredential.revoked",))[2:3], ["signer.revoked"]),
        (facts_of((*WHOLE, "timeStamp.trusted"), why="timestamp cert trusted: X")[3:], ["time.trusted"]),
        # older claims: the library trusts any service there
        (facts_of((*WHOLE, "timeStamp.trusted"), why="legacy timestamp cert trusted: X")[3:], ["time.not_on_list"]),
        (facts_of(WHOLE, ("timeStamp.mismatch",))[3:], ["time.faulty"]),
        (
            facts_of((), ("claimSignature.mismatch", "assertion.bmffHash.mismatch"))[:2],
            ["binding.mismatch", "signature.broken"],
        ),
        (facts_of()[:2], ["binding.unknown", "signature.missing"]),
        # a listed certificate, copied into a file whose signature is not its own
        (
            facts_of(("signingCredential.trusted", "assertion.dataHash.match"), ("claimSignature.mismatch",))[1:3],
            ["signature.broken", "signer.not_shown"],
        ),
        (
            facts_of((*WHOLE, "signingCredential.trusted"), ("assertion.hashedURI.mismatch",))[1:3],
            ["signature.statements_changed", "signer.not_shown"],
        ),
    ],
)
def test_the_library_s_codes_as_facts(found: list[str], expected: list[str]) -> None:
    assert found == expected


def test_old_lists_say_so() -> None:
    published = trust_lists().published
    store = {**STORE, "validation_results": {}}
    fresh, stale = (
        from_store(store, trust_lists(), published + timedelta(days=days)) for days in (STALE_DAYS, STALE_DAYS + 1)
    )
    # in a fact, which page, command line and report all have
    assert not any("days old" in line.text for line in fresh.facts)
    assert [line.code[:7] for line in stale.facts if f"{STALE_DAYS + 1} days old" in line.text] == ["signer."]


def test_the_bundled_lists_are_those_that_are_described() -> None:
    about = json.loads((FOLDER / "trust.json").read_text())
    assert about["licence"] == "CC BY 4.0" and about["source"].startswith("https://github.com/c2pa-org/")
    assert trust_lists().signers.count("BEGIN CERTIFICATE") >= 20
    assert (FOLDER / "LICENSE.md").is_file()


@pytest.fixture
def lists_in(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    def make(content: str) -> tuple[Path, Path]:
        paths = tmp_path / "s.pem", tmp_path / "c.pem"
        for path in paths:
            path.write_text(content)
        return paths

    return make


def test_newer_lists_are_taken_and_older_ones_refused(
    tmp_path: Path, lists_in: Callable[[str], tuple[Path, Path]], signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "trust"
    folder.mkdir()
    new = lists_in(signer.anchor)
    assert program.main([*map(str, new), "--date", "2027-01-31"], folder) == 0
    assert trust_lists(folder).published == date(2027, 1, 31)
    assert "1 certificates of signers" in capsys.readouterr().out
    with pytest.raises(TrustListError, match="newer"):
        take_lists(*new, date(2026, 1, 1), folder)
    with pytest.raises(TrustListError, match="no list of certificates"):
        take_lists(*lists_in("hello"), date(2028, 1, 1), folder)
    assert trust_lists(folder).published == date(2027, 1, 31)
    (folder / SIGNERS).write_text("something else")
    trust_lists.cache_clear()
    assert program.main([], folder) == 1 and "trust.json" in capsys.readouterr().err
    take_lists(*lists_in(signer.anchor), date(2026, 1, 1), folder)
    assert (folder / CLOCKS).read_text() == signer.anchor


ORIGINS: dict[str, tuple[list[Any], list[str]]] = {
    "chatgpt-1.png": (
        ["binding.match", "signature.whole", "signer.not_on_list_expired", "time.none"],
        ["claim.trainedAlgorithmicMedia", "claim.content_stays", "claim.steps_incomplete"],
    ),
    "firefly-1.png": (
        ["binding.match", "signature.whole", "signer.not_on_list", "time.not_on_list"],
        ["claim.trainedAlgorithmicMedia"],
    ),
    "flux-1.jpg": (
        ["binding.match", "signature.whole", "signer.not_on_list_expired", "time.not_on_list"],
        ["claim.trainedAlgorithmicMedia", "claim.ai_generated", "claim.steps_incomplete"],
    ),
    "samsung_black_1.png": (
        ["binding.match", "signature.whole", "signer.faulty", "time.not_on_list"],
        ["claim.edited_generated", "claim.steps_incomplete"],
    ),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_untouched_files_of_real_generators_never_read_as_changed(name: str, provenance_dir: Path) -> None:
    data = (provenance_dir / name).read_bytes()
    found = read(data)
    assert (codes(found), [line.code for line in found.claims]) == ORIGINS[name]
    flipped = bytearray(data)
    # inside the coded pixels of either format, far from every marker
    flipped[len(data) // 2] ^= 1
    assert codes(read(bytes(flipped)))[0] == "binding.mismatch"
