"""The engine: OpenVINO gives what torch gives, and where it cannot, torch does and says why."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector import converted, runtime, weights
from detector.calibration import sigmoid
from detector.converted import Converted, cache_dir, key_of
from detector.engine import Engine
from detector.errors import EngineError, WeightsError
from detector.explain.gradcam import heatmap, scaled_cam
from detector.faces.align import crop_face
from detector.manifest import Manifest, read_manifest
from detector.models.registry import MODELS, Network, build
from detector.pipeline import Detector
from detector.types import Face
from detector.weights import save_network
from tests.fakes.manifests import manifest
from tests.fakes.manifests import network as published_network
from train.data.sources import load_samples

FACES = 200
PROMISED = 0.005
"""How far a probability by OpenVINO may be from torch's."""


def probability(engine: Engine, crops: list[np.ndarray]) -> np.ndarray:
    return sigmoid(engine.calibration(engine.logits(crops)))


MANIFEST = read_manifest()
PUBLISHED = tuple(MANIFEST.models)


@pytest.fixture(params=PUBLISHED, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[Engine, Engine]:
    """A published network by OpenVINO and by torch."""
    return Engine(MANIFEST, request.param, "openvino"), Engine(MANIFEST, request.param, "torch")


class Doubled(nn.Module):
    """A network whose answer is known: twice the mean of each row, and the rows themselves."""

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * rows.mean(dim=1), rows


def doubled(key: str = "doubled", **options: object) -> runtime.Runner:
    example = np.arange(6, dtype=np.float32).reshape(2, 3)
    return runtime.prepare(Doubled, name="doubled", key=key_of(key), example=example, **options)  # type: ignore[arg-type]


def made_faces(image: np.ndarray, count: int) -> list[tuple[np.ndarray, Face]]:
    """The portrait's head, each time mirrored, turned, lit, blurred and compressed differently."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        matrix = cv2.getRotationMatrix2D((225, 115), rng.uniform(-15, 15), rng.uniform(0.6, 1.3))
        matrix[:, 2] += rng.uniform(-20, 20, 2)
        picture = cv2.warpAffine(image, matrix, (450, 260), borderMode=cv2.BORDER_REFLECT)
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.1, 2.0))
        noise = rng.normal(rng.uniform(-40, 40), rng.uniform(0.1, 12), picture.shape)
        picture = np.clip(picture * rng.uniform(0.6, 1.3, 3) + noise, 0, 255).astype(np.uint8)
        packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 96))])[1]
        picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)[:, :: -1 if i % 2 else 1]
        centre = 450 - 225 if i % 2 else 225
        found.append((picture, Face((centre - 55.0, 50.0, centre + 55.0, 180.0), (), 0.99)))
    return found


def test_probabilities_of_made_faces_are_those_of_torch(
    pair: tuple[Engine, Engine], made_face_image: np.ndarray
) -> None:
    fast, reference = pair
    assert fast.backend.startswith("OpenVINO") and reference.backend.startswith("torch")
    crops = [crop_face(picture, face, fast.size_px) for picture, face in made_faces(made_face_image, FACES)]
    probs, expected = probability(fast, crops), probability(reference, crops)
    assert expected.std() > 0.02, "the made faces must differ, or equal answers would say little"
    assert np.abs(probs - expected).max() < PROMISED


def test_probabilities_of_faces_in_the_data_are_those_of_torch(pair: tuple[Engine, Engine], data_dir: Path) -> None:
    fast, reference = pair
    pool = [s for s in load_samples(data_dir, 0) if s.split == "val"]
    chosen = [pool[i] for i in np.random.default_rng(0).choice(len(pool), FACES, replace=False)]
    crops = []
    for sample in chosen:
        picture = cv2.imdecode(np.frombuffer(sample.read(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        crops.append(cv2.resize(picture, (fast.size_px, fast.size_px), interpolation=cv2.INTER_AREA))
    probs, expected = probability(fast, crops), probability(reference, crops)
    assert expected.std() > 0.1
    assert np.abs(probs - expected).max() < PROMISED


def test_what_is_reported_is_computed_in_float32() -> None:
    """Left alone, OpenVINO takes the fastest precision of the processor: another figure on another machine."""
    detector = Detector(engine="openvino")
    assert all(backend.endswith("f32") for backend in detector.backends.values()), detector.backends
    model = doubled(choice="openvino")._requests.get().get_compiled_model()  # type: ignore[attr-defined]
    assert model.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert model.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0
    Engine(MANIFEST, PUBLISHED[0], "torch")
    assert not torch.backends.cudnn.allow_tf32


def test_bfloat16_is_no_precision_to_report(made_face_image: np.ndarray) -> None:
    if not runtime.has_bf16():
        with pytest.raises(EngineError, match="no bfloat16"):
            Engine(MANIFEST, PUBLISHED[0], "openvino", precision="bf16")
        pytest.skip("skipped: this processor has no bfloat16")
    moved = []
    for name in PUBLISHED:
        rough, exact = (Engine(MANIFEST, name, "openvino", precision=p) for p in get_args(runtime.Precision)[::-1])
        assert rough.backend.endswith("bf16") and exact.backend.endswith("f32")
        crops = [crop_face(picture, face, exact.size_px) for picture, face in made_faces(made_face_image, 50)]
        moved.append(np.abs(probability(rough, crops) - probability(exact, crops)).max())
    assert PROMISED < max(moved) < 0.1, "if it keeps the promise one day, it may be reported"


def test_a_processor_that_is_kept_from_bfloat16_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    runtime.has_bf16.cache_clear()
    here = runtime.has_bf16()
    try:
        for allowed, expected in (("AVX2", False), ("avx512_core", False), ("AVX512_CORE_AMX", here), ("ALL", here)):
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
            runtime.has_bf16.cache_clear()
            assert runtime.has_bf16() == expected, allowed
    finally:
        monkeypatch.undo()
        runtime.has_bf16.cache_clear()


def test_any_number_of_crops_gives_the_same_logits(pair: tuple[Engine, Engine], made_face_image: np.ndarray) -> None:
    fast, _ = pair
    crops = [crop_face(picture, face, fast.size_px) for picture, face in made_faces(made_face_image, 21)]
    alone = np.concatenate([fast.logits([crop]) for crop in crops])
    assert alone.dtype == np.float64
    for count in (0, 1, 5, 16, 21):
        logits, cam = fast.logits_and_cam(crops[:count])
        assert logits == pytest.approx(alone[:count], abs=1e-3)
        assert cam is not None and cam.shape[0] == count and cam.ndim == 3
        assert fast.logits(crops[:count]).shape == (count,)


def test_the_order_of_memory_does_not_matter(pair: tuple[Engine, Engine], made_face_image: np.ndarray) -> None:
    """Crops that come as views, as those of a training loader do, are copied; the copy must live until it was used."""
    crops = [crop_face(picture, face, pair[0].size_px) for picture, face in made_faces(made_face_image, 16)]
    views = list(np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1))
    for engine in pair:
        expected = engine.logits(crops)
        for _ in range(5):
            assert engine.logits(views) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_the_mean_of_the_map_is_the_logit(engine: str, made_face_image: np.ndarray) -> None:
    for name in PUBLISHED:
        ready = Engine(MANIFEST, name, engine)
        crops = [crop_face(picture, face, ready.size_px) for picture, face in made_faces(made_face_image, 6)]
        logits, cam = ready.logits_and_cam(crops)
        assert cam is not None
        rest = logits - cam.mean(axis=(1, 2))
        assert np.ptp(logits) > 0.05
        if MANIFEST.models[name].backbone:
            continue  # of a transformer, what its class tokens say remains too
        # what remains is the head's bias, the same for every face
        assert np.ptp(rest) < 1e-3


def test_the_map_is_grad_cam(pair: tuple[Engine, Engine], made_face_image: np.ndarray) -> None:
    fast, reference = pair
    crops = [crop_face(picture, face, fast.size_px) for picture, face in made_faces(made_face_image, 3)]
    cams = fast.logits_and_cam(crops)[1]
    assert cams is not None
    for crop, cam in zip(crops, cams, strict=True):
        network = reference.network
        exact = heatmap(network, network.last_features, reference.tensor([crop]))
        assert np.abs(scaled_cam(cam, fast.size_px) - exact).max() < 2e-2


def test_features_come_with_the_logits(pair: tuple[Engine, Engine], made_face_image: np.ndarray) -> None:
    crops = [crop_face(picture, face, pair[0].size_px) for picture, face in made_faces(made_face_image, 3)]
    found, expected = (engine.logits_and_features(crops) for engine in pair)
    assert found[1] is not None and expected[1] is not None
    assert found[1].shape == expected[1].shape and found[1].ndim == 4
    scale = np.abs(expected[1]).max()
    assert np.abs(found[1] - expected[1]).max() < 1e-3 * scale


class WithBend(nn.Module):
    """A head that is not linear on the mean of the features."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.layer4 = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 1)

    def forward(self, crops: Tensor) -> Tensor:
        out: Tensor = self.fc(torch.tanh(self.layer4(crops).mean(dim=(2, 3))))
        return out


def stored(folder: Path, network: Network, name: str = "resnet18") -> Manifest:
    saved = save_network(network, folder / "one.safetensors")
    return manifest(folder, {"one": published_network(name, file="one.safetensors", sha256=saved.sha256)})


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_network_without_such_a_map_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    torch.manual_seed(0)
    network = build("resnet18")
    network.backbone = WithBend(network.backbone)
    stored_set = stored(tmp_path, network)

    def bent(name: str) -> Network:
        made = Network(name)
        made.backbone = WithBend(made.backbone)
        return made

    monkeypatch.setattr(weights, "build", bent)
    ready = Engine(stored_set, "one", engine)
    crops = list(np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8))
    logits, cam = ready.logits_and_cam(crops)
    assert cam is None and logits.shape == (2,)
    features = ready.logits_and_features(crops)[1]
    assert features is not None and features.shape[:2] == (2, 4)


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_network_converts(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    stored_set = stored(tmp_path, build(name), name)
    crops = list(np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8))
    fast, reference = (Engine(stored_set, "one", engine) for engine in ("openvino", "torch"))
    (logits, cam), (expected, expected_cam) = (engine.logits_and_cam(crops) for engine in (fast, reference))
    assert sigmoid(logits) == pytest.approx(sigmoid(expected), abs=PROMISED)
    # no map has the logit as its mean where two linear layers follow, or one that weighs each place differently
    without = name.startswith("meso") or name == "resnet32_discriminator"
    assert (cam is None) == (expected_cam is None) == without
    if cam is not None and expected_cam is not None:
        assert np.abs(cam - expected_cam).max() < 0.1 * max(1.0, np.abs(expected_cam).max())


def test_an_engine_is_chosen_by_argument_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubled().backend.startswith("torch" if torch.cuda.is_available() else "OpenVINO")
    monkeypatch.setenv("UNMASK_ENGINE", "torch")
    assert doubled().backend.startswith("torch")
    assert doubled(choice="openvino").backend.startswith("OpenVINO")
    monkeypatch.setenv("UNMASK_ENGINE", "abacus")
    with pytest.raises(EngineError, match=r"abacus.*auto, openvino, torch.*UNMASK_ENGINE"):
        doubled()


def test_every_way_gives_the_same_numbers() -> None:
    rows = np.arange(15, dtype=np.float32).reshape(5, 3)
    for choice in ("openvino", "torch"):
        run = doubled(choice=choice)
        assert run(rows)[0] == pytest.approx([2, 8, 14, 20, 26])
        assert [len(run(rows, n)) for n in (1, 2, 3)] == [1, 2, 2]
        first, second = runtime.in_batches(run, rows, 2)
        assert first == pytest.approx([2, 8, 14, 20, 26]) and np.array_equal(second, rows)


def no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'openvino'")

    for name in ("core", "openvino"):
        monkeypatch.setattr(converted, name, missing)


def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libopenvino.so: cannot open shared object file")

    for name in ("core", "openvino"):
        monkeypatch.setattr(converted, name, broken)


def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("some lines\nlayer Abracadabra is not supported\n")

    monkeypatch.setattr(converted.openvino(), "convert_model", fail)


def other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Converted.make
    monkeypatch.setattr(Converted, "make", lambda *a: Converted(made(*a).model, made(*a).expected + 1))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (no_module, "OpenVINO is not installed"),
        (no_library, "libopenvino.so"),
        (no_conversion, "layer Abracadabra is not supported"),
        (other_numbers, "differs: f32 by 1"),
    ],
)
def test_torch_takes_over_and_says_why(
    trouble: Callable[[pytest.MonkeyPatch], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if torch.cuda.is_available():
        pytest.skip("skipped: torch on the GPU is the default here")
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    trouble(monkeypatch)
    run = doubled(trouble.__name__)
    assert run.backend.startswith("torch") and reason in run.backend
    assert run(np.ones((2, 3), np.float32))[0] == pytest.approx([2, 2])
    with pytest.raises(EngineError, match=r"UNMASK_ENGINE=auto"):
        doubled(trouble.__name__, choice="openvino")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_on_disk_is_used_and_a_broken_entry_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.setattr(runtime, "_runners", {})
    made = 0

    class Counted(Doubled):
        def __init__(self) -> None:
            super().__init__()
            nonlocal made
            made += 1

    def again() -> np.ndarray:
        runtime._runners.clear()
        example = np.arange(6, dtype=np.float32).reshape(2, 3)
        run = runtime.prepare(Counted, name="counted", key="1", example=example, choice="openvino")
        return run(np.ones((1, 3), np.float32))[0]

    assert again() == pytest.approx([2]) and made == 1
    (entry,) = entries(cache_dir() or tmp_path)
    assert {f.name for f in entries(entry)} == {"expected.npy", "model.bin", "model.xml", "sums.json"}
    assert again() == pytest.approx([2]) and made == 1
    for number, name in enumerate(("model.xml", "model.bin", "expected.npy", "sums.json"), 2):
        whole = (entry / name).read_bytes()
        (entry / name).write_bytes(whole[: len(whole) // 2] + b"?")
        assert again() == pytest.approx([2]) and made == number, name
        assert entries(cache_dir() or tmp_path) == [entry]
        (entry / name).unlink()
        assert again() == pytest.approx([2]), name
        made = number


def test_a_folder_that_cannot_be_written_to_costs_only_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("no folder")
    monkeypatch.setattr(runtime, "_runners", {})
    monkeypatch.setenv("UNMASK_CACHE", str(occupied / "cache"))
    assert doubled(choice="openvino")(np.ones((1, 3), np.float32))[0] == pytest.approx([2])
    assert occupied.read_text() == "no folder"


def test_the_cache_keeps_to_the_platforms_conventions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNMASK_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == tmp_path / ".cache" / "unmask"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "unmask"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == tmp_path / "Library" / "Caches" / "unmask"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_dir() == tmp_path / "local" / "unmask" / "cache"


def test_old_entries_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    monkeypatch.setattr(converted, "_KEPT_ENTRIES", 3)
    found = Converted.make(Doubled(), np.ones((1, 3), np.float32), (0,))
    for i in range(5):
        found.write(f"entry-{i}")
        os.utime(tmp_path / f"entry-{i}", (1000 + i, 1000 + i))
        Converted.read("entry-0")  # used, so it stays
    assert [e.name for e in entries(tmp_path)] == ["entry-0", "entry-3", "entry-4"]


def test_no_picture_of_a_user_reaches_the_cache(
    portrait_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    monkeypatch.setattr(runtime, "_runners", {})
    detector = Detector(engine="openvino")

    def content() -> dict[str, str]:
        files = (f for f in tmp_path.rglob("*") if f.is_file())
        return {str(f.relative_to(tmp_path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    before = content()
    assert len({name.split("/")[0] for name in before}) == 3 + len(detector.entry.members)
    verdict = detector.image(portrait_path)
    detector.explain(np.full((512, 512, 3), 90, np.uint8), verdict.faces[0].face)
    assert content() == before


def test_damaged_weights_are_refused_although_their_network_is_in_the_cache(tmp_path: Path) -> None:
    torch.manual_seed(0)
    stored_set = stored(tmp_path, build("mobilenet_v2"), "mobilenet_v2")
    Engine(stored_set, "one", "openvino")
    file = tmp_path / "one.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="damaged"):
        Engine(stored_set, "one", "openvino")


def test_two_detectors_share_their_networks() -> None:
    name = PUBLISHED[0]
    assert Engine(MANIFEST, name)._run is Engine(MANIFEST, name)._run


def test_nothing_is_reported_to_anyone(repo_root: Path, tmp_path: Path) -> None:
    """OpenVINO as it comes sends an event to a server whenever it is imported or converts a network."""
    code = """
import json, socket, sys
tried = []
def refuse(self, address):
    tried.append(str(address))
    raise OSError("no network")
socket.socket.connect = refuse
socket.getaddrinfo = lambda *a, **k: tried.append(str(a)) or []
from detector.engine import Engine
from detector.manifest import read_manifest
manifest = read_manifest()
backend = Engine(manifest, list(manifest.models)[0], "openvino").backend
print(json.dumps([backend, tried, [m for m in sys.modules if m.startswith("openvino_telemetry.")]]))
"""
    environment = {**os.environ, "UNMASK_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    # what it is that must not run: if it is gone one day, so may this test be
    assert importlib.util.find_spec("openvino") is not None
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=repo_root, env=environment, capture_output=True, text=True, check=True)
    backend, tried, loaded = json.loads(result.stdout.splitlines()[-1])
    assert backend.startswith("OpenVINO")
    assert tried == [] and loaded == []
    assert not (tmp_path / "home" / "intel").exists(), "the file by which it tells users apart"


def test_four_sessions_at_once_do_not_stall_each_other(made_face_image: np.ndarray) -> None:
    detector = Detector(engine="openvino")
    pictures = [cv2.imencode(".png", np.roll(made_face_image, 8 * i, axis=1)[..., ::-1])[1].tobytes() for i in range(4)]
    start = time.perf_counter()
    expected = [detector.image(p).prob_fake for p in pictures]
    one_after_another = time.perf_counter() - start
    rounds = 3
    ready = threading.Barrier(4)

    def session(picture: bytes) -> tuple[list[float | None], float]:
        ready.wait()
        begun = time.perf_counter()
        return [detector.image(picture).prob_fake for _ in range(rounds)], time.perf_counter() - begun

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(session, pictures))
    for (probs, _), alone in zip(found, expected, strict=True):
        assert probs == pytest.approx([alone] * rounds, abs=1e-4)
    # eager MTCNN took twenty times as long when sessions met; waiting for one's turn takes as long as the turns do
    assert max(seconds for _, seconds in found) < 4 * rounds * one_after_another + 1.0


def test_threads_keep_within_what_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def file(text: str) -> Callable[..., str]:
        return lambda self, *a, **k: text

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for text, cores in (("max 100000\n", 8), ("200000 100000\n", 2), ("50000 100000\n", 1), ("9900000 100000\n", 8)):
        monkeypatch.setattr(Path, "read_text", file(text))
        assert runtime.available_cores() == cores
