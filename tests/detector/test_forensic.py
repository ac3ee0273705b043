"""Forensic views: each shows what it says on pictures made for it, and says how it misleads."""

import io

import numpy as np
import pytest
from PIL import Image

from detector.errors import MediaError
from detector.provenance.forensic import QUALITIES, forensic_views


def saved(image: np.ndarray, kind: str = "JPEG", **options: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def again(image: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(saved(image, quality=quality))))


@pytest.fixture
def views(made_face_image: np.ndarray) -> dict[str, np.ndarray]:
    """Of a picture whose lower right quarter was saved at quality 50 before the whole was saved at 95."""
    mixed = made_face_image.copy()
    mixed[256:, 256:] = again(made_face_image, 50)[256:, 256:]
    found = forensic_views(saved(mixed, quality=95, subsampling=0))
    assert [view.code for view in found] == ["error_level", "noise", "ghosts"]
    for view in found:
        assert view.image.dtype == np.uint8 and view.image.shape == (512, 512, 3)
        assert len(view.caution) > 60 and view.text
    return {view.code: view.image.astype(float) for view in found}


def test_a_part_that_was_saved_coarser_stands_out(views: dict[str, np.ndarray]) -> None:
    part, rest = views["error_level"][272:, 272:], views["error_level"][272:, :240]
    assert part.mean() < rest.mean()
    near_50 = 255 * QUALITIES.index(50) / (len(QUALITIES) - 1)
    inside = np.abs(views["ghosts"][272:496, 272:496] - near_50) < 30
    outside = np.abs(views["ghosts"][272:496, :240] - near_50) < 30
    assert inside.mean() > outside.mean() + 0.2


def test_noise_is_flat_where_there_is_none() -> None:
    image = np.full((64, 128, 3), 120, np.uint8)
    image[:, 64:] += np.random.default_rng(0).integers(0, 60, (64, 64, 1), np.uint8)
    noise = forensic_views(saved(image, quality=98))[1].image.astype(float)
    assert noise[:, :56].std() < 3 < noise[:, 72:].std()


def test_only_a_jpeg_has_them() -> None:
    with pytest.raises(MediaError, match="JPEG"):
        forensic_views(saved(np.zeros((64, 64, 3), np.uint8), "PNG"))
    with pytest.raises(MediaError):
        forensic_views(saved(np.zeros((64, 64, 3), np.uint8))[:100])
    with pytest.raises(MediaError, match="small"):
        forensic_views(saved(np.zeros((8, 8, 3), np.uint8)))
