"""Every registered network builds, takes crops of any sensible size, and learns in all its layers."""

import pytest
import torch

from detector.errors import UnknownModelError
from detector.models.registry import MODELS, build, spec_of


@pytest.mark.parametrize("name", MODELS)
def test_network_gives_one_logit_and_a_gradient_everywhere(name: str) -> None:
    torch.manual_seed(0)
    network = build(name).train()
    features = []
    handle = network.last_features.register_forward_hook(lambda _, __, out: features.append(out.shape))
    logits = network(torch.rand(2, 3, 64, 64))
    handle.remove()
    assert logits.shape == (2,)
    assert len(features) == 1 and len(features[0]) == 4 and features[0][0] == 2
    torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1.0])).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert not silent, f"no gradient for {silent}"
    assert network.eval()(torch.rand(3, 3, 96, 96)).shape == (3,)


@pytest.mark.parametrize("name", MODELS)
def test_network_starts_undecided(name: str) -> None:
    torch.manual_seed(0)
    # batch statistics: an untrained network has no others
    assert build(name).train()(torch.rand(4, 3, 64, 64)).abs().max() < 3


def test_normalisation_is_the_networks_own_and_not_stored() -> None:
    network = build("resnet18")
    assert network.mean.shape == (1, 3, 1, 1)
    assert not {"mean", "std"} & set(network.state_dict())


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UnknownModelError, match="resnet18"):
        spec_of("resnet19")
