"""Clicks of human hands, and the middles of cells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_weak3d.methods.centroids.learner import annotate_all
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.pseudo import BACKGROUND
from napari_weak3d.methods.centroids.volumes import find_middles, settle_clicks
from napari_weak3d.samples import SYNTHETIC, click_centroids
from napari_weak3d.types import Centroids, Sample, Volume


@pytest.fixture(scope="module")
def made():
    """Touching cells."""
    return SYNTHETIC["touching-blobs"].make(np.random.default_rng(0))


@pytest.fixture(scope="module")
def middles(made):
    return np.array(ndimage.center_of_mass(made.labels > 0, made.labels, np.arange(1, made.labels.max() + 1)))


def click(made, *, jitter):
    return Sample(made.volume, click_centroids(made.labels, rng=np.random.default_rng(1), jitter=jitter))


def miss(points_vox, middles, *, of):
    return np.linalg.norm((points_vox - middles) * of.volume.spacing, axis=1)


def test_clicks_beside_the_middle_are_learned_as_if_they_were_there(made, middles, config):
    sample = click(made, jitter=1 / 6)
    (annotated,) = annotate_all([sample], config=config())
    before = miss(sample.annotation.points_vox, middles, of=made).mean()
    assert miss(annotated.points_vox, middles, of=made).mean() < 0.6 * before
    (as_clicked,) = annotate_all([sample], config=config(centre_clicks=False))
    assert (as_clicked.points_vox == sample.annotation.points_vox).all()


def test_clicks_in_the_middle_stay_about_there(made, middles, config):
    (annotated,) = annotate_all([click(made, jitter=0)], config=config())
    assert miss(annotated.points_vox, middles, of=made).mean() < 0.2 * annotated.look.radius


def test_no_click_moves_farther_than_a_radius(made, config):
    (annotated,) = annotate_all([click(made, jitter=0)], config=config(centre_clicks=False))
    small = replace(annotated, look=replace(annotated.look, radius=0.5))
    moved = miss(find_middles(small), small.points_vox, of=made)
    assert 0 < moved.max() <= 0.5 + 1e-9


def test_on_cells_with_bright_membranes_clicks_stay(config):
    made = SYNTHETIC["sheets"].make(np.random.default_rng(0))
    sample = click(made, jitter=1 / 6)
    (annotated,) = annotate_all([sample], config=config())
    assert not annotated.look.bright_inside
    assert (annotated.points_vox == sample.annotation.points_vox).all()


def test_cells_with_bright_membranes_keep_their_masks_where_a_middle_lies_between_planes(config):
    spacing, centres = np.array([5.0, 1.0, 1.0]), np.array([[2.0, 16, 16], [2, 16, 36]])
    at = np.indices((6, 32, 52)).transpose(1, 2, 3, 0)
    apart = np.min([np.linalg.norm((at - centre) * spacing, axis=-1) for centre in centres], axis=0)
    image = (abs(apart - 7) < 1.5).astype(np.float32)
    sample = Sample(Volume(image[None], (5.0, 1.0, 1.0), "um"), Centroids(centres))
    (annotated,) = annotate_all([sample], config=config(stain="border"))
    seen = Peaks(centres - np.array([0.5, 0, 0]), np.array([0.9, 0.8]))
    settled = settle_clicks(annotated, seen, config=config(stain="border"), look=replace(annotated.look, radius=7.0))
    targets = settled.mask_targets()
    for _, y, x in centres.astype(int):
        assert (targets[2, y - 3 : y + 4, x - 3 : x + 4] != BACKGROUND).all()
