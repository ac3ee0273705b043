"""Losses, attacks and sharpness-aware steps against cases small enough to compute by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from train.learn.attacks import fgsm, pgd
from train.learn.regularise import Regularisation, backward, frozen_statistics, loss_of_logits, uphill


class Line(nn.Module):
    """One weight for every pixel value and nothing else: its loss can be written down."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight]))

    def forward(self, crops: Tensor) -> Tensor:
        return self.weight * crops.mean((1, 2, 3))


def small() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4, 1), nn.Flatten(0))


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(n, 3, 8, 8), torch.tensor([0.0, 1.0] * (n // 2))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_smoothed_and_weighted_loss_by_hand() -> None:
    logits, labels = torch.tensor([0.7, -0.2]), torch.tensor([1.0, 0.0])
    plain = -(math.log(sigmoid(0.7)) + math.log(1 - sigmoid(-0.2))) / 2
    assert loss_of_logits(logits, labels, Regularisation(label_smoothing=0.0)).item() == pytest.approx(plain, rel=1e-5)
    smooth = loss_of_logits(logits, labels, Regularisation(label_smoothing=0.2)).item()
    of_fake = -(0.9 * math.log(sigmoid(0.7)) + 0.1 * math.log(1 - sigmoid(0.7)))
    of_genuine = -(0.1 * math.log(sigmoid(-0.2)) + 0.9 * math.log(1 - sigmoid(-0.2)))
    assert smooth == pytest.approx((of_fake + of_genuine) / 2, rel=1e-5)
    # genuine faces count three times as much, and a balanced batch as much as before: 1.5 and 0.5
    weighted = loss_of_logits(logits, labels, Regularisation(label_smoothing=0.2, genuine_weight=3.0)).item()
    assert weighted == pytest.approx((0.5 * of_fake + 1.5 * of_genuine) / 2, rel=1e-5)


def test_a_plain_step_has_the_gradients_of_the_plain_loss() -> None:
    network = small()
    crops, labels = batch()
    loss, logits = backward(network, crops, labels, Regularisation(label_smoothing=0.0), amp=False)
    found = [p.grad.clone() for p in network.parameters()]
    again = small()
    expected = nn.functional.binary_cross_entropy_with_logits(again(crops), labels)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item()) and logits.shape == (6,)
    assert not loss.requires_grad and not logits.requires_grad
    for one, two in zip(found, again.parameters(), strict=True):
        torch.testing.assert_close(one, two.grad)


def test_sam_takes_the_gradient_where_the_loss_is_worst_nearby() -> None:
    # loss of one fake with pixel mean m: log(1 + exp(-w m)); its slope in w is -m sigmoid(-w m)
    crops, labels, weight, rho = torch.full((1, 3, 2, 2), 0.5), torch.ones(1), 0.4, 0.3
    network = Line(weight)
    backward(network, crops, labels, Regularisation(label_smoothing=0.0, sam=rho), amp=False)
    # the slope is negative, so the worst place within rho lies below
    worst = weight - rho
    assert network.weight.grad.item() == pytest.approx(-0.5 * sigmoid(-0.5 * worst), rel=1e-5)
    assert network.weight.item() == pytest.approx(weight)
    torch.optim.SGD(network.parameters(), lr=2.0).step()
    assert network.weight.item() == pytest.approx(weight + 2.0 * 0.5 * sigmoid(-0.5 * worst), rel=1e-5)


def test_sam_step_over_many_parameters_is_of_length_rho_and_comes_back_exactly() -> None:
    network = small()
    crops, labels = batch()
    nn.functional.binary_cross_entropy_with_logits(network(crops), labels).backward()
    before = [p.detach().clone() for p in network.parameters()]
    gradients = [p.grad.clone() for p in network.parameters()]
    with uphill(network, 0.05):
        moved = [p.detach() - b for p, b in zip(network.parameters(), before, strict=True)]
        assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(0.05, rel=1e-3)
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        for move, gradient in zip(moved, gradients, strict=True):
            torch.testing.assert_close(move, 0.05 * gradient / norm, atol=1e-6, rtol=1e-3)
        assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))
    # also when what happens inside fails
    nn.functional.binary_cross_entropy_with_logits(network(crops), labels).backward()
    with pytest.raises(RuntimeError, match="inside"), uphill(network, 0.05):
        raise RuntimeError("inside")
    assert all(torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        Regularisation(label_smoothing=0.0, sam=0.1),
        Regularisation(label_smoothing=0.0, adversarial="fgsm", epsilon=0.02 * 255),
        Regularisation(label_smoothing=0.0, adversarial="pgd", epsilon=0.02 * 255),
    ],
)
def test_extra_passes_leave_the_running_statistics_alone(options: Regularisation) -> None:
    network, plain = small(), small()
    crops, labels = batch()
    torch.manual_seed(3)
    backward(network, crops, labels, options, amp=False)
    if options.adversarial == "off":
        plain(crops)
        torch.testing.assert_close(network[1].running_mean, plain[1].running_mean)
    # one update of the running mean by the crops that trained, whatever was tried before
    assert network[1].momentum == 0.1
    with frozen_statistics(network):
        kept = network[1].running_mean.clone()
        network(crops)
        torch.testing.assert_close(network[1].running_mean, kept)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_attacks_stay_near_and_in_range_and_raise_the_loss(attack) -> None:  # type: ignore[no-untyped-def]
    network = small().eval()
    crops, labels = batch()
    crops[:, :, 0] = 0.0
    crops[:, :, -1] = 1.0
    kept = crops.clone()

    def loss_of(inputs: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(network(inputs), labels)

    for epsilon in (0.004, 0.03):
        changed = attack(loss_of, crops, epsilon)
        assert changed.shape == crops.shape and not changed.requires_grad
        assert (changed - crops).abs().max().item() <= epsilon + 1e-6
        assert changed.min() >= 0 and changed.max() <= 1
        assert loss_of(changed).item() > loss_of(crops).item()
    assert torch.equal(crops, kept)
    assert all(p.grad is None for p in network.parameters())


def test_fgsm_by_hand() -> None:
    # a brighter picture raises the logit, so the loss of a fake rises as it gets darker
    crops = torch.full((1, 3, 2, 2), 0.5)
    network = Line(1.0)
    darker = fgsm(lambda x: -network(x).sum(), crops, 0.1)
    torch.testing.assert_close(darker, torch.full_like(crops, 0.4))


def test_attacked_training_sees_a_share_of_each_batch_attacked() -> None:
    crops, labels = batch(8)
    network = small()
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    options = Regularisation(label_smoothing=0.0, adversarial="fgsm", epsilon=0.02 * 255, attacked=0.25)
    backward(network, crops, labels, options, amp=False)
    attacked_only, trained = seen
    assert attacked_only.shape[0] == 2
    changed = (trained != crops).flatten(1).any(1)
    assert changed.sum() == 2 and (trained - crops).abs().max() <= 0.02 + 1e-6
    seen.clear()
    backward(network, crops, labels, replace(options, attacked=0.0), amp=False)
    assert len(seen) == 1 and torch.equal(seen[0], crops)
