"""Transmitted light is told from fluorescence, and the size of its cells by their rings."""

from functools import partial

import numpy as np
import pytest

from napari_weak3d.methods.centroids.config import CentroidsConfig, Refinement, Stain
from napari_weak3d.methods.centroids.learner import annotate_all
from napari_weak3d.methods.centroids.refine import edge_strength
from napari_weak3d.methods.centroids.rings import find_rings, is_transmitted
from napari_weak3d.methods.centroids.volumes import look_at
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.samples import (
    SYNTHETIC,
    Optics,
    click_centroids,
    make_blobs,
    make_bright_field,
    make_sheets,
)
from napari_weak3d.types import Sample

SPACING = (2.0, 1.0, 1.0)
MIDDLES = np.array([[4.0, 20, 20], [4, 20, 60], [4, 60, 20], [4, 60, 60]])
NOISY = Optics(photons=200.0, shading=0.05)
KINDS = {
    **{name: info.make for name, info in SYNTHETIC.items() if name != "tubes"},
    "bright-field, noisy": partial(make_bright_field, optics=NOISY),
    "bright-field, dense": partial(make_bright_field, fill=0.2, touching=0.7),
    "sheets, noisy": partial(make_sheets, optics=Optics(photons=5.0, background=0.2)),
    "sheets, thick": partial(make_sheets, wall_um=3.0),
    "blobs, dense": partial(make_blobs, fill=0.8, touching=1.0),
}


def draw(*, wall=-1.0, inside=0.0, radius=9.0):
    """Four balls with walls in a plain background, and noise."""
    places = np.moveaxis(np.indices((9, 80, 80)), 0, -1) * SPACING
    distance = np.min([np.linalg.norm(places - middle * SPACING, axis=-1) for middle in MIDDLES], axis=0)
    noise = np.random.default_rng(0).normal(0, 0.1, distance.shape)
    return (noise + wall * (abs(distance - radius) < 1) + inside * (distance < radius - 1)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "jitter"), [(0, 0.0), (1, 1 / 6), (2, 1 / 6)])
@pytest.mark.parametrize("name", KINDS)
def test_of_all_samples_only_bright_field_is_taken_for_transmitted_light(name, jitter, seed):
    sample = KINDS[name](np.random.default_rng(seed), shape=(24, 96, 96))
    clicks = click_centroids(sample.labels, rng=np.random.default_rng(seed), jitter=jitter).points_vox
    view = view_volume(sample.volume)
    look = look_at(view.image[::2], clicks, spacing=sample.volume.spacing)
    assert look.transmitted == name.startswith("bright-field")
    if look.transmitted:
        assert look.radius == pytest.approx(5.2, rel=0.2)


def test_rings_are_found_around_clicks_beside_the_middle():
    moved = MIDDLES + np.random.default_rng(0).normal(0, 1.5, MIDDLES.shape) * (0.5, 1, 1)
    found = find_rings(draw(), moved, radii=(3, 20), spacing=SPACING)
    assert found.radius == pytest.approx(9, rel=0.1)
    assert found.darkness > 0.5


@pytest.mark.parametrize(("wall", "inside"), [(1.0, 0.0), (-1.0, -1.0), (1.0, 1.0)])
def test_bright_walls_and_filled_balls_are_no_dark_rings(wall, inside):
    assert find_rings(draw(wall=wall, inside=inside), MIDDLES, radii=(3, 20), spacing=SPACING).darkness < 0.1


def test_rings_at_the_face_of_the_volume_and_of_one_click_are_found():
    image = draw()[:, 20:, :]
    clicks = MIDDLES[:1] - (0, 20, 0)
    assert find_rings(image, clicks, radii=(3, 20), spacing=SPACING).radius == pytest.approx(9, rel=0.15)


def test_light_that_is_taken_away_is_transmitted_unless_the_clicked_cells_are_bright():
    assert is_transmitted(draw(), MIDDLES)
    assert not is_transmitted(-draw(), MIDDLES)
    assert not is_transmitted(draw(inside=0.3), MIDDLES)


def test_only_the_clicked_part_says_what_light_it_is():
    image = np.concatenate([draw(), -3 * draw()])
    region = ((0, 9), (0, 80), (0, 80))
    look = partial(look_at, image[None], MIDDLES, spacing=SPACING)
    assert look(region=region).transmitted
    assert not look().transmitted


def test_a_fluorescent_channel_beside_transmitted_light_shows_the_cells():
    both = np.stack([draw(), draw(wall=1, inside=1)])
    assert not look_at(both, MIDDLES, spacing=SPACING).transmitted
    assert look_at(both[:1], MIDDLES, spacing=SPACING).transmitted


def test_what_is_bright_can_be_said():
    assert not look_at(draw()[None], MIDDLES, spacing=SPACING, stain=Stain.INSIDE).transmitted
    assert look_at(draw(wall=1)[None], MIDDLES, spacing=SPACING, stain=Stain.NEITHER).transmitted


@pytest.fixture
def bright_field():
    """A bright-field stack with its clicks."""
    made = make_bright_field(np.random.default_rng(0), shape=(16, 64, 64))
    return Sample(made.volume, click_centroids(made.labels, rng=np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Refinement.AUTO, Refinement.BRIGHT_FIELD),
        (Refinement.FLUORESCENCE, Refinement.FLUORESCENCE),
        (Refinement.BRIGHT_FIELD, Refinement.BRIGHT_FIELD),
    ],
)
def test_masks_of_bright_field_are_drawn_to_the_laplacian_unless_said_otherwise(bright_field, asked, expected):
    config = CentroidsConfig(refinement=asked)
    (annotated,) = annotate_all([bright_field], config=config)
    wanted = edge_strength(annotated.image, kind=expected, spacing=annotated.spacing, sigma_vox=config.refinement_sigma)
    np.testing.assert_array_equal(annotated.edges(config), wanted)


def test_masks_of_fluorescence_are_drawn_to_gradients(sample, config):
    (annotated,) = annotate_all([sample], config=config())
    wanted = edge_strength(
        annotated.image,
        kind=Refinement.FLUORESCENCE,
        spacing=annotated.spacing,
        sigma_vox=config().refinement_sigma,
    )
    np.testing.assert_array_equal(annotated.edges(config()), wanted)
