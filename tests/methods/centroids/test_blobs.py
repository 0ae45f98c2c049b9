"""Cells like those that are clicked, before anything is trained."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_weak3d import follow, workflow
from napari_weak3d.errors import AnnotationError, ModelError
from napari_weak3d.methods.centroids.blobs import answer_to_blobs, find_alike
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.types import Centroids, Sample, Volume

SPACING = (2.0, 1.0, 1.0)
PLACES = np.array([(8, 15, 15), (8, 40, 20), (20, 15, 45), (30, 40, 45), (33, 16, 20), (20, 45, 30)], float)
SHAPE = (40, 60, 60)


def balls(places=PLACES, *, radius=6.0, inside=1.0, noise=0.05):
    at = np.indices(SHAPE).transpose(1, 2, 3, 0)
    image = np.zeros(SHAPE, np.float32)
    for place in places:
        image[np.linalg.norm((at - place) * SPACING, axis=-1) <= radius] = inside
    return image + np.random.default_rng(0).normal(0, noise, SHAPE).astype(np.float32)


def sample(clicks, *, region=None, inside=1.0):
    volume = Volume(balls(inside=inside)[None], spacing=SPACING, unit="um", name="balls")
    return Sample(volume, Centroids(np.array(clicks, float).reshape(-1, 3)), region=region)


def test_slabs_give_what_the_whole_volume_gives(monkeypatch):
    monkeypatch.setattr("napari_weak3d.methods.centroids.blobs._SLAB", 7)
    image, look = balls(), CellLook(6.0, True)
    sigmas = [6.0 / np.sqrt(3) / along for along in SPACING]
    slow = np.zeros(SHAPE)
    for axis, sigma in enumerate(sigmas):
        order = [0, 0, 0]
        order[axis] = 2
        slow -= sigma**2 * ndimage.gaussian_filter(image.astype(float), sigmas, order=order, mode="nearest", truncate=3)
    out = np.empty(SHAPE, np.float32)
    steps = list(answer_to_blobs(image, look=look, spacing=SPACING, out=out))
    assert steps[-1] == (6, 6)
    np.testing.assert_allclose(out, slow, atol=1e-4)


def test_nothing_is_alike_where_clicked_cells_answer_nothing():
    flat = np.zeros(SHAPE, np.float32)
    assert len(find_alike(flat, PLACES, look=CellLook(6.0, True), spacing=SPACING)) == 0


@pytest.mark.parametrize("inside", [1.0, -1.0])
def test_two_clicks_find_the_other_balls_bright_or_dark(inside):
    found = follow(workflow.propose(sample(np.add(PLACES[:2], (0.5, 1, -1)), inside=inside)))
    apart = np.linalg.norm((found.points_vox[:, None] - PLACES[None, 2:]) * SPACING, axis=2)
    assert len(found.points_vox) == 4
    assert apart.min(axis=1).max() < 2
    assert found.radius == pytest.approx(6, rel=0.3)
    assert (found.scores > 0.7).all()


def test_cells_are_looked_for_in_the_region_only():
    found = follow(workflow.propose(sample(PLACES[:1], region=((0, 25), (0, 60), (0, 60)))))
    assert len(found.points_vox) == 3


def test_bad_input_is_named(tmp_path):
    with pytest.raises(AnnotationError, match="no centroids for balls"):
        follow(workflow.propose(sample([])))
    with pytest.raises(AnnotationError, match="outside balls"):
        follow(workflow.propose(sample([(99, 0, 0)])))
    (tmp_path / "model.json").write_text('{"schema": 1, "method": "slices"}')
    with pytest.raises(ModelError, match="knows no clicks"):
        follow(workflow.propose(sample(PLACES[:2]), model=Path(tmp_path)))
