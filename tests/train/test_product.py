"""What was measured of the product stays beside the weights that it was measured with, and with no others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detector.manifest import Manifest, write_manifest
from tests.fakes import manifests
from train.store.product import PRODUCT, keep_evaluation, keep_speed, networks_of, read_product


@pytest.fixture
def published(tmp_path: Path) -> Manifest:
    made = manifests.manifest(tmp_path, {"resnet18": manifests.network(sha256="1" * 64)})
    write_manifest(tmp_path, made)
    return made


def test_nothing_is_known_of_a_set_that_was_not_measured(published: Manifest) -> None:
    assert read_product(published) == {}


def test_evaluation_and_speed_are_kept_side_by_side(published: Manifest) -> None:
    keep_evaluation(published, {"clips": [1]})
    assert keep_speed(published, {"networks": networks_of(published), "rows": [2]})
    keep_evaluation(published, {"clips": [3]})
    found = read_product(published)
    assert found["evaluation"]["clips"] == [3] and found["speed"]["rows"] == [2]


def test_another_calibration_has_another_evaluation_and_the_same_speed(published: Manifest) -> None:
    keep_evaluation(published, {"clips": [1]})
    keep_speed(published, {"networks": networks_of(published)})
    write_manifest(published.folder, replace(published, date="2026-12-09"))
    assert read_product(published).keys() == {"speed"}


def test_figures_of_other_networks_are_neither_read_nor_kept(published: Manifest) -> None:
    keep_evaluation(published, {"clips": [1]})
    keep_speed(published, {"networks": networks_of(published)})
    later = replace(published, models={"resnet18": manifests.network(sha256="2" * 64)})
    write_manifest(published.folder, later)
    assert read_product(later) == {}
    assert not keep_speed(later, {"networks": networks_of(published)})
    keep_evaluation(later, {"clips": [2]})
    assert json.loads((published.folder / PRODUCT).read_text()).keys() == {"evaluation"}
