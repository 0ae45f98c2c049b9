import numpy as np
import pytest

from napari_weak3d.methods.centroids.pseudo import (
    BACKGROUND,
    BORDER,
    INSIDE,
    PseudoLabels,
    make_mask_targets,
    make_pseudo_labels,
    touching,
)
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.targets import find_voronoi_cells
from napari_weak3d.metrics import instance_scores
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.samples import click_centroids, make_blobs

ONES = (1.0, 1.0, 1.0)


def two_balls(radius=6, levels=(1.0, 0.3)):
    """Two balls that touch, one dim."""
    z, y, x = np.ogrid[:20, :24, :40]
    labels = np.zeros((20, 24, 40), np.int32)
    for number, centre in enumerate([(10, 12, 13), (10, 12, 26)], start=1):
        inside = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2
        labels[inside] = number
    image = np.array([0, *levels], np.float32)[labels]
    noise = np.random.default_rng(0).normal(0, 0.02, labels.shape).astype(np.float32)
    return image + noise, labels, np.array([[10.0, 12, 13], [10, 12, 26]])


def make(image, points, *, look):
    cells = find_voronoi_cells(points, shape=image.shape, spacing=ONES)
    return make_pseudo_labels(image, points, cells=cells, look=look, spacing=ONES)


def test_bright_and_dim_cells_are_both_cut_at_half_of_their_own_level():
    image, truth, points = two_balls()
    found = make(image, points, look=CellLook(6.0, bright_inside=True))
    assert instance_scores(found.labels, truth).seg > 0.85


def test_dark_cells_are_flooded_up_to_their_membranes():
    image, truth, points = two_balls(levels=(0.0, 0.0))
    z, y, x = np.ogrid[:20, :24, :40]
    for centre in points.astype(int):
        distance = np.sqrt((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        image[(distance > 5.5) & (distance < 7.5)] = 1
    found = make(image, points, look=CellLook(6.0, bright_inside=False))
    assert instance_scores(found.labels, truth).seg > 0.7


def test_a_transparent_cell_is_a_ball_whose_surface_is_uncertain():
    image, truth, points = two_balls()
    found = make(0 * image, points, look=CellLook(6.0, bright_inside=False, transmitted=True))
    np.testing.assert_array_equal(found.labels, truth)
    z, y, x = np.ogrid[:20, :24, :40]
    distance = np.sqrt((z - 10) ** 2 + (y - 12) ** 2 + np.minimum(abs(x - 13), abs(x - 26)) ** 2)
    np.testing.assert_array_equal(found.uncertain, abs(distance - 6) < 1.2)


def test_a_click_beside_its_cell_still_gets_it():
    image, truth, points = two_balls()
    points[0, 2] = 6
    found = make(image, points, look=CellLook(6.0, bright_inside=True))
    assert (found.labels[truth == 1] == 1).mean() > 0.7


def test_without_clicks_all_is_background():
    found = make(np.ones((3, 4, 5), np.float32), np.zeros((0, 3)), look=CellLook(2.0, bright_inside=True))
    assert not found.labels.any()
    assert not found.uncertain.any()


def test_targets_know_inside_border_and_background_and_leave_the_rest_out():
    labels = np.array([[[0, 0, 1, 1, 2, 2, 0, 0]]], np.int32)
    uncertain = np.array([[[0, 1, 0, 0, 0, 0, 0, 0]]], bool)
    known = np.array([[[1, 1, 1, 1, 1, 1, 1, 0]]], bool)
    found = make_mask_targets(PseudoLabels(labels, uncertain), known=known)
    assert found[0, 0].tolist() == [
        BACKGROUND,
        UNLABELLED,
        INSIDE,
        BORDER,
        BORDER,
        INSIDE,
        BACKGROUND,
        UNLABELLED,
    ]


def test_voxels_touch_where_a_face_neighbour_is_another_object():
    labels = np.zeros((1, 3, 4), np.int32)
    labels[0, 0], labels[0, 1, 0], labels[0, 2, 3] = [1, 1, 2, 0], 1, 2
    assert np.argwhere(touching(labels)[0]).tolist() == [[0, 1], [0, 2]]


@pytest.mark.slow
def test_touching_nuclei_of_uneven_brightness_are_masked_well_from_clicks_alone():
    sample = make_blobs(np.random.default_rng(1), shape=(32, 64, 64), fill=0.2, touching=0.6)
    points = click_centroids(sample.labels, rng=np.random.default_rng(0)).points_vox
    image = np.asarray(sample.volume.data[0], np.float32)
    spacing = sample.volume.spacing
    cells = find_voronoi_cells(points, shape=image.shape, spacing=spacing)
    found = make_pseudo_labels(image, points, cells=cells, look=CellLook(4.5, bright_inside=True), spacing=spacing)
    assert instance_scores(found.labels, sample.labels).f1 > 0.9


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_responses_that_show_cells_are_cut_at_half_their_level_beside_the_image_or_alone(share):
    image, truth, points = two_balls()
    flat = image if share < 1 else np.zeros_like(image)
    cells = find_voronoi_cells(points, shape=image.shape, spacing=ONES)
    found = make_pseudo_labels(
        flat,
        points,
        cells=cells,
        look=CellLook(6.0, bright_inside=True),
        spacing=ONES,
        responses=7 * (truth > 0).astype(np.float32),
        response_share=share,
    )
    assert instance_scores(found.labels, truth).seg > 0.85
