"""The game: networks of the right shape, regularisers equal to closed forms, runs that write everything and resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detector.models.registry import build
from detector.types import Face
from tests.fakes.games import face_set, spec
from train.data.batches import PairedBatches
from train.data.extra import drawn_alike
from train.data.faces import FaceData, with_fakes_of
from train.data.samples import Sample
from train.errors import DataError
from train.gan import ada
from train.gan.ada import AdaController, augment
from train.gan.faces import FaceSet, choose_genuine
from train.gan.losses import discriminator_loss, generator_loss, path_lengths, path_penalty, r1_penalty
from train.gan.players import (
    DETECTOR,
    DetectorDiscriminator,
    Variant,
    build_discriminator,
    build_generator,
    generate,
)
from train.gan.stylegan2 import StyleGan2Discriminator, StyleGan2Generator, modulated_conv


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
    monkeypatch.setattr(ada, "_colour", lambda pictures, p: pictures)
    monkeypatch.setattr(ada, "_SIGMA_SHIFT", 0.0)
    monkeypatch.setattr(ada, "_SIGMA_SCALE", 0.0)
    # no turn by any angle: its chance is 1 - sqrt(1 - p)
    monkeypatch.setattr(ada.math, "sqrt", lambda _: 1.0)
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 6, 6)
    poses = [torch.rot90(p, k, (2, 3)) for p in (picture, picture.flip(3)) for k in range(4)]
    found = augment(picture.expand(200, -1, -1, -1), 0.9)
    which = [[i for i, pose in enumerate(poses) if torch.allclose(row[None], pose, atol=1e-4)] for row in found]
    assert all(len(w) == 1 for w in which) and {w[0] for w in which} == set(range(8))


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
