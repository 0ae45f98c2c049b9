"""Points that are there already: which become clicks, and what is told of the others."""

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_weak3d.app.tools.centroids import taking
from napari_weak3d.app.tools.centroids.clicks import Clicks
from napari_weak3d.errors import AnnotationError

pytestmark = pytest.mark.window
SHAPE = (6, 20, 30)
UM = ("um",) * 3


@pytest.fixture
def image():
    return Image(np.zeros(SHAPE, np.uint8), name="cells", scale=(2, 0.5, 0.5), translate=(10, 0, 0), units=UM)


def test_points_on_the_image_are_its_voxels(image):
    layer = Points([[1, 2, 3.5]], scale=image.scale, translate=image.translate, units=UM)
    (way,) = taking.read_layer(layer, image)
    np.testing.assert_allclose(way.points, [[1, 2, 3.5]])


def test_points_of_another_scale_can_be_meant_in_two_ways(image):
    layer = Points([[12, 1, 5]], name="mine", units=UM)
    shown, numbers = taking.read_layer(layer, image)
    np.testing.assert_allclose(shown.points, [[1, 2, 10]])
    np.testing.assert_allclose(numbers.points, [[12, 1, 5]])
    assert taking.scale_question(layer, image) == (
        "mine has the scale 1, 1, 1, and cells 2, 0.5, 0.5 (z, y, x). Where are its points?"
    )


def test_points_of_a_time_series_count_at_the_time_in_view(image):
    movie = Image(np.zeros((4, *SHAPE), np.uint8))
    layer = Points([[0, 1, 2, 3], [2, 4, 5, 6]], name="tracked")
    (way,) = taking.read_layer(layer, movie, first=2)
    np.testing.assert_allclose(way.points, [[4, 5, 6]])
    with pytest.raises(AnnotationError, match="'tracked' has points of 4 axes"):
        taking.read_layer(layer, image)


@pytest.mark.parametrize(("data", "says"), [([[1, 2]], "points of 2 axes"), (np.zeros((0, 3)), "no points here")])
def test_layers_without_points_of_a_volume_are_refused_by_name(image, data, says):
    with pytest.raises(AnnotationError, match=f"'flat'.*{says}"):
        taking.read_layer(Points(data, name="flat"), image)


def test_points_that_can_be_no_clicks_are_left_out_and_told_of():
    clicks = Clicks(np.array([[1.0, 1, 1]]))
    given = np.array([[1, 1, 1.2], [2, 2, 2], [2, 50, 2], [3, 3, 3], [3, 3, 3], [np.nan, 0, 0]])
    taken, text = taking.sift(clicks, given, shape=SHAPE, name="mine")
    np.testing.assert_array_equal(taken, [[2, 2, 2], [3, 3, 3]])
    assert text == (
        "2 points of mine taken; 2 lie outside the image, which is 6 x 20 x 30 voxels: the first is number 3, "
        "z 2, y 50, x 2; 2 on a voxel that has a click already, or has two of them"
    )


def test_proposed_are_points_of_the_box_that_are_neither_clicked_nor_refused():
    region = ((0, 6), (0, 10), (0, 30))
    clicks = Clicks(np.array([[1.0, 1, 1]]), refused=np.array([[4.0, 4, 4]]), region=region)
    given = np.array([[1, 1, 2], [1, 1, 9], [4, 4, 5], [2, 15, 3], [2, 3, 40]], float)
    new = taking.find_new(clicks, given, shape=SHAPE, spacing=(2, 1, 1), within=2.0)
    np.testing.assert_array_equal(new, [False, True, False, False, False])


def test_centres_of_the_objects_in_a_slice_are_those_in_space():
    labels = np.zeros((9, 12, 12), np.int32)
    labels[2:7, 3:6, 4:9] = 4
    labels[0:2, 8:10, 8:10] = 7
    np.testing.assert_allclose(taking.centres_in(labels, (0, 3), reach=5), [[4, 4, 6]])
    np.testing.assert_allclose(taking.centres_in(labels, (1, 4), reach=5), [[4, 4, 6]])
    assert len(taking.centres_in(labels, (0, 8), reach=2)) == 0
