"""The game: networks of the right shape, regularisers equal to closed forms, runs that write everything and resume."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import train.data.extra as extra_module
import train.gan.judge as judge_recipe
import train.gan.play as gan_recipe
import train.gan.publish as publish_recipe
import train.gan.samples as samples_recipe
from detector.calibration import Calibration
from detector.models.registry import build
from detector.types import Face
from train.__main__ import main
from train.data.batches import PairedBatches
from train.data.extra import drawn_alike, learned_from, load_extra, made_by
from train.data.faces import FaceData, load_faces, with_fakes_of
from train.data.samples import Sample
from train.errors import DataError
from train.gan import milestone
from train.gan.ada import AdaController, augment
from train.gan.faces import FaceSet, choose_genuine
from train.gan.judge import GanJudge
from train.gan.loop import Callbacks, Game, play
from train.gan.losses import Loss, discriminator_loss, generator_loss, path_lengths, path_penalty, r1_penalty
from train.gan.measure_fid import Fid
from train.gan.measure_fid import run as run_fid
from train.gan.play import Gan
from train.gan.players import (
    DETECTOR,
    DetectorDiscriminator,
    GeneratorSpec,
    Variant,
    build_discriminator,
    build_generator,
    draw_latents,
    generate,
)
from train.gan.publish import GanPublish
from train.gan.samples import GanSamples
from train.gan.stylegan2 import StyleGan2Discriminator, StyleGan2Generator, modulated_conv
from train.measure.even_odds import slices_at_even_odds
from train.options import changed
from train.recipes.cnn import Cnn
from train.recipes.cnn import run as run_cnn
from train.run import Run
from train.store.kept_scores import KeptScores


def spec(variant: Variant, size_px: int = 16) -> GeneratorSpec:
    return GeneratorSpec(variant, size_px, latent_dim=8, channels=4, max_channels=8, mapping_layers=2)


@pytest.mark.parametrize("variant", ["resnet32", "stylegan2-ada"])
@pytest.mark.parametrize("size_px", [8, 32])
def test_players_fit_each_other(variant: Variant, size_px: int) -> None:
    torch.manual_seed(0)
    made = spec(variant, size_px)
    generator, discriminator = build_generator(made), build_discriminator(made, spectral=False)
    pictures = generator(torch.randn(4, 8))
    assert pictures.shape == (4, 3, size_px, size_px)
    logits = discriminator(pictures)
    assert logits.shape == (4,)
    generator_loss(logits, "bce").backward()
    # noise comes in with strength 0, and its strength must still learn
    silent = [n for n, p in (*generator.named_parameters(), *discriminator.named_parameters()) if p.grad is None]
    assert not silent, f"no gradient for {silent}"
    uint8 = generate(generator.eval(), torch.randn(2, 8))
    assert uint8.shape == (2, 3, size_px, size_px) and uint8.dtype == torch.uint8


def test_a_size_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        spec("resnet32", 48)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_convolution_is_the_papers(up: bool) -> None:
    """Equal to modulating and demodulating each picture's own weights, then convolving each picture alone."""
    torch.manual_seed(0)
    x, weight, style = torch.randn(3, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.rand(3, 4) + 0.5
    own = weight[None] * style[:, None, :, None, None]
    own = own * torch.rsqrt(own.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    ones = torch.ones(1, 4)
    alone = [modulated_conv(a[None], w, ones, demodulate=False, up=up) for a, w in zip(x, own, strict=True)]
    together = modulated_conv(x, weight, style, up=up)
    assert together.shape[-1] == (12 if up else 6)
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_demodulation_takes_the_scale_of_a_style_away_and_its_absence_keeps_it() -> None:
    torch.manual_seed(0)
    x, weight, style = torch.randn(2, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.rand(2, 4) + 0.5
    torch.testing.assert_close(modulated_conv(x, weight, 7 * style), modulated_conv(x, weight, style))
    plain = modulated_conv(x, weight, style, demodulate=False)
    torch.testing.assert_close(modulated_conv(x, weight, 7 * style, demodulate=False), 7 * plain)
    # without noise it commutes with the scale of the picture, too
    torch.testing.assert_close(modulated_conv(3 * x, weight, style), 3 * modulated_conv(x, weight, style))


def test_enlarging_keeps_a_flat_picture_flat() -> None:
    """Transposed convolution and blur by a kernel that sums to 4 hold the level, away from the border."""
    kernel = torch.zeros(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 1
    out = modulated_conv(torch.ones(1, 1, 8, 8), kernel, torch.ones(1, 1), demodulate=False, up=True)
    torch.testing.assert_close(out[:, :, 3:-3, 3:-3], torch.ones(1, 1, 10, 10))


def test_fixed_noise_repeats_and_truncation_goes_to_the_average_face() -> None:
    torch.manual_seed(0)
    generator = build_generator(spec("stylegan2-ada"))
    assert isinstance(generator, StyleGan2Generator)
    for conv in generator.convs:
        nn.init.ones_(conv.noise_strength)
    generator.train()(torch.randn(4, 8))
    generator.eval()
    latent = torch.randn(2, 8)
    assert torch.equal(generator(latent, noise="fixed"), generator(latent, noise="fixed"))
    assert not torch.equal(generator(latent), generator(latent))
    average = generator(latent, truncation=0.0, noise="fixed")
    torch.testing.assert_close(average[0], average[1])


def test_groups_of_the_discriminator_do_not_mix() -> None:
    torch.manual_seed(0)
    discriminator = StyleGan2Discriminator(16, 4, 8)
    first, second = torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
    both = discriminator(torch.cat([first, second]))
    torch.testing.assert_close(both, torch.cat([discriminator(first), discriminator(second)]))
    with pytest.raises(ValueError, match="groups of 4"):
        discriminator(torch.randn(6, 3, 16, 16))


def test_a_discriminators_answer_does_not_depend_on_the_company() -> None:
    torch.manual_seed(0)
    discriminator = DetectorDiscriminator().train()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    pictures = torch.rand(8, 3, 16, 16) * 2 - 1
    for _ in range(3):
        optimizer.zero_grad()
        discriminator(pictures).square().mean().backward()
        optimizer.step()
    together = discriminator(pictures)
    assert together.std() > 0
    torch.testing.assert_close(torch.cat([discriminator(picture[None]) for picture in pictures]), together)
    torch.testing.assert_close(discriminator.plain().eval()((pictures + 1) / 2), together)


def test_spectral_norm_is_worked_into_the_detectors_weights() -> None:
    torch.manual_seed(0)
    discriminator = DetectorDiscriminator(spectral=True)
    pictures = torch.rand(4, 3, 16, 16) * 2 - 1
    discriminator.train()(pictures)
    discriminator.eval()
    plain = discriminator.plain()
    assert plain.state_dict().keys() == build(DETECTOR).state_dict().keys()
    torch.testing.assert_close(plain.eval()((pictures + 1) / 2), discriminator(pictures))
    assert torch.linalg.matrix_norm(plain.backbone.fc.weight, 2) < 1.05


def test_losses_favour_the_right_side() -> None:
    sure, unsure = torch.tensor([-3.0, -4.0]), torch.tensor([0.0, 0.0])
    for kind in ("bce", "hinge"):
        assert discriminator_loss(sure, -sure, kind) < discriminator_loss(unsure, unsure, kind)
        # the generator wants its pictures taken for genuine
        assert generator_loss(sure, kind) < generator_loss(unsure, kind)
    expected = nn.functional.binary_cross_entropy_with_logits(sure, torch.full((2,), 0.1))
    expected += nn.functional.binary_cross_entropy_with_logits(unsure, torch.ones(2))
    torch.testing.assert_close(discriminator_loss(sure, unsure, "bce", smoothing=0.1), expected)


def test_r1_of_a_linear_discriminator_is_half_its_squared_weight() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3 * 4 * 4, requires_grad=True)
    pictures = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = r1_penalty(pictures.flatten(1) @ weight, pictures)
    torch.testing.assert_close(penalty, weight.square().sum() / 2)
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, weight.detach())


def test_path_lengths_of_a_linear_generator_are_those_of_its_jacobian() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(6, 3 * 4 * 4, requires_grad=True)
    styles = torch.randn(5, 6, requires_grad=True)
    pictures = (styles @ matrix).view(5, 3, 4, 4)
    torch.manual_seed(1)
    lengths = path_lengths(pictures, styles)
    torch.manual_seed(1)
    direction = torch.randn(5, 3, 4, 4) / 4
    torch.testing.assert_close(lengths, (direction.flatten(1) @ matrix.T).norm(dim=1))
    penalty, mean = path_penalty(lengths, torch.tensor(0.0))
    torch.testing.assert_close(mean, 0.01 * lengths.detach().mean())
    torch.testing.assert_close(penalty, (lengths - mean).square().mean())
    (gradient,) = torch.autograd.grad(penalty, matrix)
    assert gradient.abs().sum() > 0


def test_augmentation_rises_while_the_discriminator_is_sure_and_falls_after() -> None:
    ada = AdaController(target=0.6, images=1000)
    for _ in range(8):
        ada.observe(torch.full((16,), -2.0))
    assert ada.r_t == 1.0 and ada.p == pytest.approx(8 * 16 / 1000)
    other = AdaController(target=0.6, images=1000)
    other.load(ada.state())
    high = ada.p
    for _ in range(4):
        ada.observe(torch.tensor([-1.0, 1.0]))
        other.observe(torch.tensor([-1.0, 1.0]))
    assert ada.r_t == 0.0 and ada.p == pytest.approx(high - 8 / 1000) and other.state() == ada.state()
    for _ in range(400):
        ada.observe(torch.full((16,), 2.0))
    assert ada.p == 0.0


def test_augmentation_is_off_at_zero_and_lets_gradients_through() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(16, 3, 8, 8) * 2 - 1
    assert augment(pictures, 0.0) is pictures
    pictures.requires_grad_(True)
    changed = augment(pictures, 0.8)
    assert changed.shape == pictures.shape and torch.isfinite(changed).all()
    assert not torch.allclose(changed, pictures)
    changed.square().sum().backward()
    assert pictures.grad is not None and (pictures.grad.abs().sum((1, 2, 3)) > 0).all()


def test_pixel_blitting_moves_pixels_and_keeps_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flips and quarter turns alone only reorder: sorted values stay, and every one of the eight poses occurs."""
    monkeypatch.setattr("train.gan.ada._colour", lambda pictures, p: pictures)
    monkeypatch.setattr("train.gan.ada._SIGMA_SHIFT", 0.0)
    monkeypatch.setattr("train.gan.ada._SIGMA_SCALE", 0.0)
    # no turn by any angle: its chance is 1 - sqrt(1 - p)
    monkeypatch.setattr("train.gan.ada.math.sqrt", lambda _: 1.0)
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 6, 6)
    poses = [torch.rot90(p, k, (2, 3)) for p in (picture, picture.flip(3)) for k in range(4)]
    found = augment(picture.expand(200, -1, -1, -1), 0.9)
    which = [[i for i, pose in enumerate(poses) if torch.allclose(row[None], pose, atol=1e-4)] for row in found]
    assert all(len(w) == 1 for w in which) and {w[0] for w in which} == set(range(8))


def face_set(n: int = 12, size_px: int = 16) -> FaceSet:
    rng = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(rng.integers(0, 256, (size_px, size_px, 3), np.uint8), (0, 0), 3) for _ in range(n)]
    return FaceSet(
        torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2).contiguous(), tuple(f"a/{i // 2}" for i in range(n))
    )


def test_faces_travel_in_one_file_and_halve_by_person(tmp_path: Path) -> None:
    faces = face_set()
    faces.save(tmp_path / "faces.npz")
    loaded = FaceSet.load(tmp_path / "faces.npz")
    assert loaded.groups == faces.groups and loaded.crops.shape == faces.crops.shape
    assert (loaded.crops.float() - faces.crops.float()).abs().mean() < 4
    assert loaded.key() == FaceSet.load(tmp_path / "faces.npz").key() != faces.key()
    first, second = faces.halves(0)
    assert len(first) == len(second) == 6
    assert not {faces.groups[i] for i in first} & {faces.groups[i] for i in second}
    (tmp_path / "other.npz").write_bytes(b"no set")
    with pytest.raises(DataError, match="export_faces"):
        FaceSet.load(tmp_path / "other.npz")


def sample(name: str, label: int, source: str, group: str) -> Sample:
    return Sample(Path(name), None, name, label, source, group, "none", "train")


def test_genuine_faces_are_sharp_and_no_clip_takes_over() -> None:
    rows = [sample(f"clip{i}", 0, "a", "clip") for i in range(9)]
    rows += [sample("small", 0, "a", "s"), sample("fake", 1, "a", "f"), sample("other", 0, "b", "o")]
    faces = {s.name: Face((0, 0, 100, 100), (), 1.0) for s in rows} | {"small": Face((0, 0, 20, 20), (), 1.0)}
    chosen = choose_genuine(rows, faces, 64, per_group=3)
    assert len(chosen) == 4 and {s.group for s in chosen} == {"clip", "o"}
    assert {s.source for s in choose_genuine(rows, faces, 64, 3, sources=["b"])} == {"b"}
    with pytest.raises(DataError, match="there are: a, b"):
        choose_genuine(rows, faces, 64, 3, sources=["c"])
    with pytest.raises(DataError, match="large enough"):
        choose_genuine(rows, faces, 1024, 3)


def test_a_network_can_learn_from_the_fakes_of_some_sources_alone() -> None:
    rows = [sample(f"{source}{label}", label, source, source) for source in "abc" for label in (0, 1)]
    data = FaceData(rows, [], [], {}, set(), "", {})
    kept = with_fakes_of(data, ["a", "c"])
    assert [s.name for s in kept.train] == ["a0", "a1", "b0", "c0", "c1"]
    with pytest.raises(DataError, match="no manipulated training faces of d; there are: a, b, c"):
        with_fakes_of(data, ["a", "d"])


@pytest.mark.parametrize("twins", [0.0, 0.5])
def test_traces_of_scaling_tell_nothing_about_the_class(twins: float) -> None:
    """As large a share of the genuine half of the batches bears them as of the manipulated half, twins counted."""
    base = [sample(f"g{s}{i}", 0, f"s{s}", f"g{s}{i}") for s in range(4) for i in range(25)]
    base += [sample(f"f{s}{i}", 1, f"s{s}", f"f{s}{i}") for s in range(2) for i in range(100)]
    extra = [sample(f"x{label}{i}", label, "x", f"pair{i}") for label in (0, 1) for i in range(400)]
    kept, counted_as = drawn_alike(base, extra)
    assert kept == extra
    samples = [*base, *kept]
    draws = [d for batch in PairedBatches(samples, 40, 500, twins, seed=0, counted_as=counted_as) for d in batch]
    assert len({d.index for d in draws if d.index >= len(base)}) > 750  # nearly all are used
    bears = np.array([samples[d.index].source == "x" for d in draws])
    manipulated = np.array([d.twin or samples[d.index].label == 1 for d in draws])
    assert manipulated.mean() == 0.5 and 0.3 < bears.mean() < 0.7
    assert bears[manipulated].mean() == pytest.approx(bears[~manipulated].mean(), abs=0.015)


def test_pairs_of_whoever_is_left_out_are_dropped() -> None:
    base = [sample(f"{label}{i}", label, "a", f"g{i}") for label in (0, 1) for i in range(4)]
    extra = [sample(f"x{label}{i}", label, "x", f"g{i}") for label in (0, 1) for i in range(4)]
    kept, _ = drawn_alike(base, extra, left_out={"g0", "g2"})
    assert {s.group for s in kept} == {"g1", "g3"}
    with pytest.raises(DataError, match="no pair"):
        drawn_alike(base, extra, left_out={f"g{i}" for i in range(4)})
    with pytest.raises(DataError, match="leave --extra out"):
        drawn_alike(base[:4], extra)


@pytest.fixture
def tiny(tmp_path: Path) -> Gan:
    face_set().save(tmp_path / "faces.npz")
    return changed(
        Gan(),
        variant="stylegan2-ada",
        faces=tmp_path / "faces.npz",
        size_px=16,
        epochs=2,
        images_per_epoch=16,
        batch_size=4,
        channels=4,
        max_channels=8,
        ada_target=0.001,
        ada_images=20,
        lr_discriminator=0.01,
        r1_every=2,
        path_every=2,
        fid_every=1,
        amp="off",
        runs_dir=tmp_path / "runs",
    )


def test_a_game_writes_every_file(tiny: Gan, capsys: pytest.CaptureFixture[str]) -> None:
    folder = gan_recipe.run(tiny)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "run.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "generator.safetensors",
        "samples/genuine.png",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "report/gan_curves.png",
    }
    rows = Run(folder).events("epoch")
    assert [r["epoch"] for r in rows] == [1, 2] and rows[1]["images"] == 32
    wanted = {"d_loss", "g_loss", "r1", "path_penalty", "path_length", "r_t", "p", "images_per_s", "fid", "fid_ratio"}
    assert wanted <= rows[1].keys()
    said = capsys.readouterr().out
    assert "FID by Unmask resnet18" in said and "images_per_s" in said
    record = Run(folder).record()
    assert record["game"]["r1"] == pytest.approx(0.0002 * 16 * 16 / 4) and record["game"]["ada_target"] == 0.001

    # on other features nothing that was measured before counts
    first = Run(folder).record()["generator_epoch"]
    gan_recipe.run(changed(tiny, epochs=3, extractor="mobilenet_v2", resume=folder))
    rows = Run(folder).events("epoch")
    assert first < Run(folder).record()["generator_epoch"] == 3 and "mobilenet_v2" in rows[2]["features"]
    assert rows[1]["features"] != rows[2]["features"]

    # FID of the kept checkpoint, by a named extractor and beside that of genuine halves
    run_fid(Fid(folder, faces=tiny.faces, data=tiny.data))
    measured = json.loads((folder / "report" / "fid.json").read_text())
    assert measured["n_generated"] == measured["n_genuine"] == 12 and len(measured["extractor"]["sha256"]) == 64
    half = measured["halves"]
    assert half["n"] == 6 and half["ratio"] == pytest.approx(half["fid_generated"] / half["fid_genuine"])

    # for the models page: the grid of the very generator that was measured, and no picture of the data
    weights = tiny.data.runs_dir / "weights"
    out = publish_recipe.run(GanPublish(folder, weights_dir=weights))
    assert {p.name for p in out.iterdir()} == {"grid.webp", "curves.webp", "record.json"}
    assert not list(weights.glob(".*"))
    said_of = json.loads((out / "record.json").read_text())
    assert said_of["fid"] == measured["fid"] and said_of["halves"] == half and said_of["players"] is None
    assert said_of["extractor"]["name"].startswith("Unmask resnet18") and said_of["n_generated"] == 12
    assert (said_of["variant"], said_of["size_px"], said_of["images_seen"]) == ("stylegan2-ada", 16, 48)
    epoch = Run(folder).record()["generator_epoch"]
    with Image.open(out / "grid.webp") as grid, Image.open(folder / f"samples/epoch-{epoch:04d}.png") as made:
        assert grid.size == made.size
        assert np.abs(np.asarray(grid, float) - np.asarray(made.convert("RGB"), float)).mean() < 12
    # again, with the weights; too large ones and a measurement of another generator are refused, what is there stays
    publish_recipe.run(GanPublish(folder, players=True, weights_dir=weights))
    files = json.loads((out / "record.json").read_text())["players"]["files"]
    assert set(files) == {"generator.safetensors", "discriminator.safetensors"}
    assert files["generator.safetensors"]["sha256"] == measured["generator"]
    stats = {name: (out / name).stat() for name in files}
    assert all(
        files[name]["bytes"] == found.st_size and found.st_mode & 0o044 == 0o044 for name, found in stats.items()
    )
    with pytest.MonkeyPatch.context() as small, pytest.raises(DataError, match="leave --players out"):
        small.setattr(milestone, "MAX_BYTES", 100)
        publish_recipe.run(GanPublish(folder, players=True, weights_dir=weights))
    (folder / "report" / "fid.json").write_text(json.dumps({**measured, "generator": "other"}))
    with pytest.raises(DataError, match="earlier generator"):
        publish_recipe.run(GanPublish(folder, weights_dir=weights))
    (folder / "report" / "fid.json").unlink()
    with pytest.raises(DataError, match="train fid"):
        publish_recipe.run(GanPublish(folder, weights_dir=weights))
    assert (out / "generator.safetensors").is_file() and not list(weights.glob(".*"))
    # a new game begins from what was published, and says so
    later = gan_recipe.run(changed(tiny, epochs=1, lr_generator=1e-9, lr_discriminator=1e-9, start=out))
    went_on, before = Run(later).record(), Run(folder).record()
    assert went_on["begun_from"] == {"run": folder.name, "images": 48, "hours": before["train_hours"]}
    assert went_on["images_seen"] == 64 and went_on["train_hours"] >= before["train_hours"]
    for key, tensor in load_file(out / "generator.safetensors").items():
        if key == "mapping.average":  # of the styles seen; it goes on whatever the rate
            continue
        assert torch.allclose(tensor.float(), load_file(later / "generator.safetensors")[key].float(), atol=2e-3), key
    state = torch.load(later / "checkpoint.pt", weights_only=True)["game"]["discriminator"]
    for key, tensor in load_file(out / "discriminator.safetensors").items():
        assert torch.allclose(tensor.float(), state[key], atol=2e-3), key
    gan_recipe.run(changed(tiny, epochs=2, lr_generator=1e-9, lr_discriminator=1e-9, resume=later))
    resumed = Run(later).record()
    assert resumed["begun_from"] == went_on["begun_from"] and resumed["images_seen"] == 80
    for broken, words in ((changed(tiny, channels=8), "other options"), (changed(tiny, resume=later), "begun already")):
        with pytest.raises(ValueError, match=words):
            gan_recipe.run(changed(broken, start=out))
    (out / "discriminator.safetensors").write_bytes(b"cut off")
    with pytest.raises(DataError, match="not the file that was published"):
        gan_recipe.run(changed(tiny, start=out))
    with pytest.raises(ValueError, match="not the faces"):
        face_set(14).save(tiny.data.runs_dir / "more.npz")
        run_fid(Fid(folder, faces=tiny.data.runs_dir / "more.npz", data=tiny.data))


@pytest.mark.parametrize("stop", ["killed", "minutes"])
def test_a_stopped_game_resumes_bit_for_bit(stop: str, tiny: Gan, monkeypatch: pytest.MonkeyPatch) -> None:
    # that measuring disturbs nothing is part of what is tested
    whole = gan_recipe.run(changed(tiny, fid_every=0))
    stopped = changed(tiny, runs_dir=tiny.data.runs_dir.parent / "stopped")
    if stop == "minutes":
        folder = gan_recipe.run(changed(stopped, minutes=1e-6))
        assert len(Run(folder).events("epoch")) == 1
    else:
        said = gan_recipe.say

        def kill(text: str) -> None:
            said(text)
            if text.startswith("epoch 1"):
                raise KeyboardInterrupt

        monkeypatch.setattr(gan_recipe, "say", kill)
        with pytest.raises(KeyboardInterrupt):
            gan_recipe.run(stopped)
        monkeypatch.setattr(gan_recipe, "say", said)
        folder = next(p for p in stopped.runs_dir.iterdir() if p.name.startswith("gan-"))
    assert gan_recipe.run(changed(stopped, resume=folder)) == folder
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True)["game"] for f in (whole, folder))
    assert first["steps"] == second["steps"] == 8 and first["ada"] == second["ada"]
    # the resumed epoch began with augmentation at work
    assert Run(folder).events("epoch")[0]["p"] > 0
    for part in ("generator", "averaged", "discriminator"):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), (part, key)


def test_a_run_is_gone_on_with_as_it_began(tiny: Gan) -> None:
    folder = gan_recipe.run(changed(tiny, epochs=1, fid_every=0))
    with pytest.raises(DataError, match="other batch_size, r1, steps_per_epoch"):
        gan_recipe.run(changed(tiny, batch_size=8, resume=folder))
    face_set(14).save(tiny.data.runs_dir / "more.npz")
    with pytest.raises(DataError, match="other faces"):
        gan_recipe.run(changed(tiny, faces=tiny.data.runs_dir / "more.npz", resume=folder))
    with pytest.raises(DataError, match="no run folder"):
        gan_recipe.run(changed(tiny, resume=tiny.data.runs_dir))
    # more epochs are no other game
    gan_recipe.run(changed(tiny, fid_every=0, resume=folder))
    assert [r["epoch"] for r in Run(folder).events("epoch")] == [1, 2]


@pytest.mark.parametrize("loss", ["bce", "hinge"])
def test_a_detector_that_plays_resumes_bit_for_bit(loss: Loss, tmp_path: Path) -> None:
    genuine, fakes = face_set().crops, face_set(8).crops.flip(2)
    made = spec("resnet32")
    recipe = changed(
        Gan(), size_px=16, epochs=2, batch_size=4, loss=loss, smoothing=0.1, r1_every=2, spectral_norm=True
    )

    def played(name: str, parts: int) -> dict[str, torch.Tensor]:
        run = Run(tmp_path / name)
        for part in range(parts):
            run.folder.mkdir(exist_ok=True)
            torch.manual_seed(part)  # what a later part is built with must not matter
            if part == 0:
                torch.manual_seed(0)
            players = build_generator(made), build_discriminator(made, spectral=True)
            epochs = 2 if parts == 1 else part + 1
            options = replace(recipe.game_options(len(genuine), amp=False), epochs=epochs)
            game = Game(*players, options, torch.device("cpu"))
            assert play(game, genuine, run, run.folder / "g.safetensors", Callbacks(), fakes, np.full(8, 1 / 8))
        state = game.state()
        return {f"{k}/{n}": v for k in ("generator", "averaged", "discriminator") for n, v in state[k].items()}

    whole, resumed = played("whole", 1), played("resumed", 2)
    assert whole.keys() == resumed.keys()
    assert [k for k in whole if not torch.equal(whole[k], resumed[k])] == []
    assert Run(tmp_path / "whole").events("epoch")[1]["r1"] > 0


@pytest.fixture(scope="module")
def made_data(tmp_path_factory: pytest.TempPathFactory, portrait_path: Path) -> Path:
    """train/ and val/ and test/ with real/ and fake/, a face in every picture."""
    root = tmp_path_factory.mktemp("data")
    portrait = cv2.imread(str(portrait_path))
    assert portrait is not None
    rng = np.random.default_rng(0)
    for split, n in (("train", 8), ("val", 4), ("test", 4)):
        for name in ("real", "fake"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                x, y = int(rng.integers(100, 140)), int(rng.integers(0, 20))
                crop = portrait[y : y + 220, x : x + 220].astype(np.float32) * rng.uniform(0.7, 1.1)
                if name == "fake":
                    crop[60:160, 60:160] = cv2.GaussianBlur(crop[60:160, 60:160], (0, 0), 3) + 15
                path = root / split / name / f"{split}{i}_0.png"
                cv2.imwrite(str(path), np.clip(crop, 0, 255).astype(np.uint8))
    return root


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def everywhere(samples: list[Sample], *_: object, **__: object) -> dict[str, Face]:
    """A face in the middle of every picture: what an untrained generator draws has none to find."""
    marks = ((90.0, 100.0), (150.0, 100.0), (120.0, 130.0), (95.0, 160.0), (145.0, 160.0))
    return {s.name: Face((40.0, 40.0, 200.0, 200.0), marks, 1.0) for s in samples}


def test_the_discriminator_becomes_a_detector_and_the_generator_feeds_others(
    made_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = changed(
        Gan(),
        data_root=made_data,
        size_px=16,
        epochs=1,
        batch_size=4,
        channels=4,
        max_channels=8,
        spectral_norm=True,
        fid_every=0,
        workers=0,
        amp="off",
        runs_dir=tmp_path / "runs",
    )
    folder = gan_recipe.run(options)
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"best.safetensors", "val_logits.npz", "report/confusion_matrix.png", "report/figures.json"} <= files
    build(DETECTOR).load_state_dict(load_file(folder / "best.safetensors"), strict=True)
    record = Run(folder).record()
    data = load_faces(made_data, options.data.runs_dir, 0, 0)
    assert record["options"]["model"] == DETECTOR and record["data"] == data.fingerprint

    out = samples_recipe.run(GanSamples(folder, tmp_path / "made", 12, 4, 4, data=options.data))
    tars = {f"generated-{split}.tar" for split in ("train", "val", "test")}
    assert {p.name for p in out.iterdir()} == {"faces.csv", "made.json", *tars}
    with (out / "faces.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    counts = {
        (r["split"], r["label"]): sum(o["split"] == r["split"] and o["label"] == r["label"] for o in rows) for r in rows
    }
    assert counts == {("train", "fake"): 12, ("train", "real"): 8} | {
        (split, label): 4 for split in ("val", "test") for label in ("fake", "real")
    }
    with pytest.raises(DataError, match="exists"):
        samples_recipe.run(GanSamples(folder, out, data=options.data))
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(samples_recipe, "generate", interrupted)
        samples_recipe.run(GanSamples(folder, tmp_path / "half", data=options.data))
    assert {p.name for p in tmp_path.iterdir()} == {"runs", "made"}

    monkeypatch.setattr(extra_module, "find_faces", everywhere)
    extra = load_extra(out, "train", options.data.runs_dir / "cache", 0)
    sizes = {cv2.imdecode(np.frombuffer(s.read(), np.uint8), cv2.IMREAD_COLOR).shape for s in extra.samples}
    assert sizes == {(240, 240, 3)} and len({s.group for s in extra.samples}) == 12

    cnn = changed(
        Cnn(),
        model="hybrid",
        data_root=made_data,
        extra=out,
        fakes=(made_data.name,),
        epochs=1,
        batch_size=4,
        size_px=32,
        images_per_epoch=4,
        start="scratch",
        workers=0,
        amp="off",
        runs_dir=options.data.runs_dir,
    )
    trained = run_cnn(cnn)
    assert run_cnn(changed(cnn, resume=trained)) == trained, "the same options, as JSON gave them back"
    found = Run(trained).record()
    assert found["extra"] and found["data"] == record["data"] and found["sources"]["train"]["gan-resnet32-16"][1] > 0

    # the made faces teach nothing: what is judged is the judging
    monkeypatch.setattr(judge_recipe, "fit_calibration", lambda samples, logits: Calibration(1.0, 0.0))
    capsys.readouterr()
    for judged, split, looks in ((folder, "val", 0), (trained, "val", 0), (trained, "test", 1)):
        judge = GanJudge(judged, split, out, data=options.data)  # type: ignore[arg-type]
        judge_recipe.run(judge)
        figures = json.loads((judged / "report" / f"judged_{split}.json").read_text())
        assert figures["test_looks"] == looks == Run(judged).record().get("test_looks", 0)
        row = figures["slices"]["gan-resnet32-16"]
        (tn, fp), (fn, tp) = row["confusion"]
        assert tn + fp == row["genuine"] == 4 and fn + tp == row["manipulated"] == 4
        assert row["accuracy"]["value"] == pytest.approx((tn + tp) / 8) and row["recall"] == pytest.approx(tp / 4)
        assert figures["samples"]["run"] == folder.name
        assert (judged / "report" / f"confusion_{split}_gan-resnet32-16.png").is_file()
    # what was scored is kept: the same question again takes no look; of other weights it would
    with monkeypatch.context() as watched:
        watched.setattr(judge_recipe, "score_faces", lambda network, samples, *_: np.zeros(len(samples)))
        judge_recipe.run(judge)
    assert json.loads((trained / "report" / "judged_test.json").read_text()) == figures
    with np.load(trained / "report" / "scores_test.npz") as kept:
        assert kept["logits0"].any() and not {s.name for s in data.test} & set(kept["keys0"].tolist())
        of = str(kept["of"])
    assert KeptScores.load(trained / "report" / "scores_test.npz", "of other weights") is None
    broken = tmp_path / "broken.npz"
    broken.write_bytes((trained / "report" / "scores_test.npz").read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        KeptScores.load(broken, of)
    generated = load_extra(out, "val", tmp_path / "cache", 0).samples
    assert judge_recipe._contents(generated) != judge_recipe._contents(generated[:-1])
    assert "gan-resnet32-16" in capsys.readouterr().out

    # faces of the generator's history are opponents of its own slice alone, and calibrate who learned such faces
    calibrated: list[Sequence[Sample]] = []
    ranked: list[set[str]] = []

    def calibration(samples: Sequence[Sample], logits: np.ndarray) -> Calibration:
        calibrated.append(samples)
        return Calibration(1.0, 0.0)

    def slices(samples: Sequence[Sample], logits: np.ndarray) -> dict[str, dict[str, object]]:
        ranked.append({s.source for s in samples})
        return slices_at_even_odds(samples, logits)

    with monkeypatch.context() as watched:
        watched.setattr(judge_recipe, "fit_calibration", calibration)
        watched.setattr(judge_recipe, "slices_at_even_odds", slices)
        for judged in (folder, trained):
            judge_recipe.run(GanJudge(judged, "val", out, data=options.data))
    assert {s.source for s in calibrated[1]} - {s.source for s in calibrated[0]} == {"gan-resnet32-16"}
    assert {s.split for samples in calibrated for s in samples} == {"val"}
    assert learned_from(found["extra"], made_by(out)["generator"])
    assert not learned_from(found["extra"], "0" * 64) and not learned_from(None, made_by(out)["generator"])
    assert ranked[1] == ranked[3] == {"gan-resnet32-16"} and not ranked[1] & (ranked[0] | ranked[2])
    with pytest.raises(DataError, match="no manipulated face of nothing"):
        judge_recipe._learned(data.val, ("nothing",))

    # what the README of the generators says of it, once the checkpoint's FID is known
    run_fid(Fid(folder, data=options.data))
    publish = GanPublish(folder, detectors=(trained,), weights_dir=tmp_path / "weights")
    published = json.loads((publish_recipe.run(publish) / "record.json").read_text())
    (told,) = published["detectors"]
    assert told["model"] == "hybrid" and told["learned_generated"] and told["generated"]["manipulated"] == 4
    text = (tmp_path / "weights" / "gan" / "README.md").read_text()
    assert "](resnet32/grid.webp)" in text
    # in the table of what counts most and in that of all
    assert text.count("| hybrid, trained on faces of resnet32 | such faces | 4 | 4 |") == 2
    assert "| resnet32 | 16 px |" in text
    judged = json.loads((trained / "report" / "judged_test.json").read_text())["slices"]
    assert set(told["slices"]) == set(judged) - {"gan-resnet32-16"} and told["slices"]
    assert all(f"| hybrid, trained on faces of resnet32 | {source} |" in text for source in told["slices"])
    with pytest.raises(DataError, match="was not judged"):
        (trained / "report" / "judged_test.json").rename(tmp_path / "judged_test.json")
        publish_recipe.run(publish)
    other = json.loads((tmp_path / "judged_test.json").read_text())
    other["samples"]["generator"] = "other"
    (trained / "report" / "judged_test.json").write_text(json.dumps(other))
    with pytest.raises(DataError, match="another generator"):
        publish_recipe.run(publish)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gan", "--batch_size", "6"], "multiple of 4"),
        (["gan", "--size_px", "48"], "power of two"),
        (["gan", "--faces", "x.npz"], "judged"),
        (["gan", "--left_out", "nobody"], "no fold nobody"),
        (["leave-out", "--variants", "baseline,generated"], "--extra"),
        (["gan", "--variant", "stylegan2-ada", "--loss", "hinge"], "bce"),
        (["gan-samples", "nothing", "--out", "x"], "holds no generator"),
        (["gan-judge", "nothing"], "holds no detector"),
        (["fid", "nothing"], "holds no generator"),
        (["gan-publish", "nothing"], "holds no generator"),
    ],
)
def test_impossible_options_get_a_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stopped:  # values that the options themselves refuse
        code = int(stopped.code or 0)
    assert code in (1, 2) and words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_latents_do_not_depend_on_the_device_or_on_what_was_drawn_before() -> None:
    made = spec("resnet32")
    torch.randn(3)
    assert torch.equal(draw_latents(made, 5, 1), draw_latents(made, 5, 1))
    assert not torch.equal(draw_latents(made, 5, 1), draw_latents(made, 5, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")
@pytest.mark.parametrize("amp", ["on", "off"])
def test_a_game_runs_on_a_gpu(amp: str, tiny: Gan) -> None:
    folder = gan_recipe.run(changed(tiny, amp=amp))  # type: ignore[arg-type]
    assert len(Run(folder).events("epoch")) == 2
