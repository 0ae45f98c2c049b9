"""Layers lie where their image lies, and what the user has made or edited is left alone."""

import numpy as np
import pint
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_weak3d.app.canvas_mark import Mark
from napari_weak3d.app.grid import grid_of, say_no_slice, turned_note
from napari_weak3d.app.layers import Layers
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import Preview

pytestmark = pytest.mark.window
SHAPE = (6, 8, 10)
PLACES = {
    "plain": {},
    "in micrometres": {"scale": (3, 0.5, 0.25), "translate": (10, -2, 4), "units": ("um", "um", "um")},
    "turned in the plane": {"scale": (3, 1, 1), "rotate": [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]},
    "mirrored": {"scale": (3, -1, 0.5)},
    "moved by an affine": {"affine": [[2, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, -7], [0, 0, 0, 1]], "axis_labels": "zyx"},
}


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def layers(viewer):
    layers = Layers(viewer)
    yield layers
    layers.close()


def make_image(viewer, shape=SHAPE, **place):
    return viewer.add_image(np.zeros(shape, np.float32), name="cells", **place)


def make_labels(value=1, shape=SHAPE):
    return np.full(shape, value, np.int32)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_paint_layer_lies_where_its_image_lies(viewer, layers, place):
    image = make_image(viewer, **place)
    paint = layers.add_paint(image, make_labels(0), name="paint")
    corner = (5, 7, 9)
    np.testing.assert_allclose(paint.data_to_world(corner), image.data_to_world(corner))
    assert (paint.units, paint.axis_labels) == (image.units, image.axis_labels)
    assert paint.data.dtype == np.int32


def test_a_paint_layer_lies_on_the_last_three_axes_of_an_image_with_channels(viewer, layers):
    image = make_image(viewer, (2, *SHAPE), scale=(9, 3, 2, 1), translate=(7, 1, 2, 3), units=("", "um", "um", "um"))
    paint = layers.add_paint(image, make_labels(0), name="paint")
    assert paint.data_to_world((1, 1, 1)) == (4, 4, 4)
    assert paint.units == image.units[1:]


def test_a_grid_has_the_shape_of_the_finest_level(viewer):
    levels = [np.zeros((6, 8, 10)), np.zeros((3, 4, 5))]
    assert grid_of(viewer.add_image(levels, multiscale=True)).shape == SHAPE


def test_what_is_of_one_time_point_is_out_of_sight_at_the_others(viewer, layers):
    movie = make_image(viewer, (4, *SHAPE), scale=(2, 3, 1, 1))
    paint = layers.add_paint(movie, make_labels(0), name="paint")
    hidden = layers.show_result(movie, make_labels(1), name="result")
    hidden.visible = False  # by the user
    layers.go_to((0, 2), movie)
    viewer.dims.set_point(0, 2)
    layers.follow(movie, time_index=1)
    paint.mode = "paint"
    assert layers.shown_slice() == (0, 2)
    viewer.dims.set_point(0, 4)
    assert layers.shown_slice() is None
    assert (paint.visible, paint.mode) == (False, "pan_zoom")
    layers.go_to((0, 5), movie)
    assert layers.shown_slice() == (0, 5)
    assert viewer.dims.current_step[0] == 1
    assert (paint.visible, paint.mode, hidden.visible) == (True, "paint", False)


def test_layers_follow_an_image_whose_spacing_is_corrected(viewer, layers):
    image = make_image(viewer)
    paint = layers.add_paint(image, make_labels(0), name="paint")
    image.scale = (4, 1, 1)
    image.units = ("um", "um", "um")
    np.testing.assert_array_equal(paint.scale, (4, 1, 1))
    assert paint.units == image.units


@pytest.mark.parametrize("place", [PLACES["plain"], PLACES["in micrometres"], PLACES["moved by an affine"]])
@pytest.mark.parametrize("which", [(0, 0), (0, 5), (1, 3), (2, 9)])
def test_the_slice_gone_to_is_the_slice_shown(viewer, layers, place, which):
    image = make_image(viewer, **place)
    layers.follow(image)
    layers.go_to(which, image)
    assert layers.shown_slice() == which


def test_slices_are_found_with_channels_in_front_and_beside_a_larger_layer_in_other_units(viewer, layers):
    image = make_image(viewer, (2, *SHAPE), scale=(1, 3, 2, 1), units=("", "um", "um", "um"))
    viewer.add_image(np.zeros((20, 20, 20)), units=("nm", "nm", "nm"), scale=(100, 100, 100))
    layers.follow(image)
    for which in ((0, 4), (1, 2), (2, 7)):
        layers.go_to(which, image)
        assert layers.shown_slice() == which


@pytest.mark.parametrize("unit", ["um", "nm"])
def test_napari_shows_the_very_slice_that_is_told_whatever_the_units_of_the_viewer(viewer, layers, unit):
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    image = viewer.add_image(data, scale=(3, 0.5, 0.25), translate=(10, -2, 4), units=("um", "um", "um"))
    viewer.layers.units = tuple(pint.get_application_registry()(unit).units for _ in range(3))
    layers.follow(image)
    for axis, index in ((0, 4), (1, 2), (2, 7)):
        layers.go_to((axis, index), image)
        np.testing.assert_array_equal(image._slice.image.raw, data.take(index, axis))


def test_no_slice_is_shown_in_3d_in_an_oblique_cut_or_outside_of_the_image(viewer, layers):
    image = make_image(viewer)
    layers.follow(image)
    viewer.dims.ndisplay = 3
    assert layers.shown_slice() is None
    viewer.dims.ndisplay = 2
    viewer.add_image(np.zeros((30, 8, 10)))
    viewer.dims.point = (25, 0, 0)
    assert layers.shown_slice() is None
    viewer.dims.point = (2, 0, 0)
    assert layers.shown_slice() == (0, 2)
    image.rotate = [[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]
    assert layers.shown_slice() is None


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_image_that_shows_planes_of_its_own_is_not_turned(viewer, place):
    assert turned_note(make_image(viewer, **place)) == ""


@pytest.mark.parametrize("place", [{"rotate": (10, 20, 30)}, {"shear": (0.5, 0.5, 0.5), "rotate": (5, 0, 20)}])
@pytest.mark.parametrize("shape", [SHAPE, (2, *SHAPE)])
def test_an_image_that_shows_none_of_its_planes_is_told(viewer, place, shape):
    image = make_image(viewer, shape)
    for name, value in place.items():
        if len(shape) == len(SHAPE):
            setattr(image, name, value)
        else:
            spatial = make_image(viewer, **{name: value})
            full = np.eye(5)
            full[1:, 1:] = spatial._transforms.simplified.affine_matrix
            image.affine = full @ image.affine.affine_matrix
    assert turned_note(image).startswith("cells is rotated or sheared")
    assert say_no_slice(image) == turned_note(image)


def test_own_labels_of_another_shape_are_refused_with_both_shapes(viewer, layers):
    image = make_image(viewer)
    labels = viewer.add_labels(make_labels(shape=(6, 8, 11)), name="mine")
    with pytest.raises(AnnotationError, match=r"'mine' has shape 6 x 8 x 11, image 'cells' has 6 x 8 x 10"):
        layers.labels_of(labels, image)


def test_a_result_is_known_while_it_is_in_sight(viewer, layers):
    image = make_image(viewer)
    assert layers.result_of(image) is None
    result = layers.show_result(image, np.full(SHAPE, 3, np.int32), name="result")
    assert (layers.result_of(image) == 3).all()
    assert layers.result_of(make_image(viewer)) is None
    result.visible = False
    assert layers.result_of(image) is None


def test_paint_that_is_put_back_lies_in_front(viewer, layers):
    image = make_image(viewer)
    paint = layers.add_paint(image, make_labels(0), name="paint")
    viewer.add_labels(make_labels(1), name="mine")
    layers.put_back(paint)
    assert viewer.layers[-1] is paint
    assert viewer.layers.selection.active is paint


def test_the_preview_is_one_layer_below_the_paint_with_one_slice_filled(viewer, layers):
    image = make_image(viewer)
    paint = layers.add_paint(image, make_labels(0), name="paint")
    layers.show_preview(image, Preview((0, 2), np.full((8, 10), 3, np.int32)))
    layers.show_preview(image, Preview((1, 7), np.full((6, 10), 4, np.int32)))
    assert [layer.name for layer in viewer.layers] == ["cells", "preview", "paint"]
    expected = np.zeros(SHAPE, np.int32)
    expected[:, 7] = 4
    np.testing.assert_array_equal(viewer.layers["preview"].data, expected)
    assert viewer.layers.selection.active is paint
    assert not viewer.layers["preview"].editable
    assert layers.preview_of((0, 2)) is None
    assert layers.preview_of((1, 7)).max() == 4


def test_a_preview_for_another_image_is_left_out(viewer, layers):
    image = make_image(viewer)
    layers.show_preview(image, Preview((0, 2), np.zeros((9, 10), np.int32)))
    assert len(viewer.layers) == 1


def test_a_preview_is_shown_again_after_its_layer_was_renamed_or_removed(viewer, layers):
    image = make_image(viewer)
    preview = Preview((0, 2), np.ones((8, 10), np.int32))
    layers.show_preview(image, preview)
    viewer.layers["preview"].name = "something"
    layers.show_preview(image, preview)
    assert len(viewer.layers) == 2
    viewer.layers.remove("something")
    assert layers.preview_of((0, 2)) is None
    layers.show_preview(image, preview)
    assert len(viewer.layers) == 2


def test_previews_can_be_hidden(viewer, layers):
    image = make_image(viewer)
    layers.show_preview(image, Preview((0, 2), np.ones((8, 10), np.int32)))
    layers.hide_preview()
    assert list(viewer.layers) == [image]


def test_a_result_replaces_the_last_of_its_name(viewer, layers):
    image = make_image(viewer)
    viewer.add_labels(make_labels(7), name="result")
    first = layers.show_result(image, make_labels(1), name="result")
    assert first.name == "result [1]"  # napari's doing, not the user's
    second = layers.show_result(image, make_labels(2), name="result")
    assert second is first
    assert second.data.max() == 2
    assert len(viewer.layers) == 3


def test_a_result_gives_way_to_the_preview_and_comes_back_with_the_next_one(viewer, layers):
    image = make_image(viewer)
    theirs = layers.show_result(image, make_labels(1), name="corrected")
    edit_by_brush(theirs)
    result = layers.show_result(image, make_labels(1), name="result")
    layers.show_preview(image, Preview((0, 2), make_labels(2)[0]))
    assert (result.visible, theirs.visible) == (False, True)
    result.visible = True  # the user compares
    layers.show_preview(image, Preview((0, 3), make_labels(2)[0]))
    assert result.visible
    result.visible = False
    assert layers.show_result(image, make_labels(2), name="result").visible


def edit_by_brush(layer):
    layer.paint((2, 3, 3), 9)


def edit_by_program(layer):
    layer.data[2, 3, 3] = 9


def edit_by_other_data(layer):
    layer.data = np.full(SHAPE, 9, np.int32)


def edit_its_name(layer):
    layer.name = "of model 1, keep"


@pytest.mark.parametrize("edit", [edit_by_brush, edit_by_program, edit_by_other_data, edit_its_name])
def test_a_result_that_was_edited_is_the_users_and_the_next_one_is_new(viewer, layers, edit):
    image = make_image(viewer)
    first = layers.show_result(image, make_labels(1), name="result")
    edit(first)
    kept = first.data.copy()
    second = layers.show_result(image, make_labels(2), name="result")
    assert second is not first
    assert list(viewer.layers) == [image, first, second]  # or the old one would hide the new one
    np.testing.assert_array_equal(first.data, kept)


def test_a_result_that_came_with_corrections_is_the_users(viewer, layers):
    image = make_image(viewer)
    first = layers.show_result(image, make_labels(1), name="result", corrected=True)
    assert layers.show_result(image, make_labels(2), name="result") is not first
    assert first.data.max() == 1


def test_a_result_does_not_touch_a_layer_of_the_users_of_the_same_name(viewer, layers):
    image = make_image(viewer)
    mine = viewer.add_labels(make_labels(7), name="result")
    layers.show_result(image, make_labels(1), name="result")
    assert mine.data.max() == 7
    assert len(viewer.layers) == 3


def test_a_result_comes_in_front_of_its_image(viewer, layers):
    image = make_image(viewer, **PLACES["in micrometres"])
    paint = layers.add_paint(image, make_labels(0), name="paint")
    result = layers.show_result(image, make_labels(1), name="result")
    assert list(viewer.layers) == [image, result, paint]
    np.testing.assert_array_equal(result.scale, image.scale)


def test_uncertainty_is_one_layer_that_is_reused(viewer, layers):
    image = make_image(viewer)
    first = layers.show_extra(image, np.zeros(SHAPE, np.float32), name="uncertainty")
    assert layers.show_extra(image, np.ones(SHAPE, np.float32), name="uncertainty") is first
    assert layers.image_layers() == [image]
    layers.hide_extra("uncertainty")
    assert list(viewer.layers) == [image]


def test_whole_numbers_beside_a_result_are_shown_as_labels(viewer, layers):
    image = make_image(viewer)
    classes = layers.show_extra(image, make_labels(3), name="classes")
    unsure = layers.show_extra(image, np.zeros(SHAPE, np.float32), name="uncertainty")
    assert (type(classes).__name__, type(unsure).__name__) == ("Labels", "Image")
    np.testing.assert_array_equal(classes.scale, image.scale)
    layers.hide_extra()
    assert list(viewer.layers) == [image]


@pytest.mark.parametrize("edit", [edit_by_brush, edit_by_program, edit_by_other_data, edit_its_name])
def test_what_came_beside_a_result_and_was_edited_is_the_users(viewer, layers, edit):
    image = make_image(viewer)
    mine = layers.show_extra(image, make_labels(3), name="classes")
    edit(mine)
    kept = mine.data.copy()
    layers.hide_extra()
    second = layers.show_extra(image, make_labels(4), name="classes")
    assert list(viewer.layers) == [image, second, mine]
    np.testing.assert_array_equal(mine.data, kept)
    edit(second)
    assert layers.show_extra(image, make_labels(5), name="classes") is not second


def test_labels_to_take_over_from_are_the_users_and_results_but_not_paint_or_preview(viewer, layers):
    image = make_image(viewer)
    mine = viewer.add_labels(make_labels(0))
    layers.add_paint(image, make_labels(0), name="paint")
    layers.show_preview(image, Preview((0, 0), np.zeros((8, 10), np.int32)))
    result = layers.show_result(image, make_labels(1), name="result")
    assert set(map(id, layers.labels_layers())) == {id(mine), id(result)}


def test_marks_are_no_layers(viewer, layers):
    image = make_image(viewer)
    paint = layers.add_paint(image, make_labels(0), name="paint")
    layers.show_marks(paint, Mark("z 2 is complete", complete=True))
    assert paint.bounding_box.visible
    assert any(getattr(each, "text", "") == "z 2 is complete" for each in viewer.canvas.overlays.values())
    assert len(viewer.layers) == 2
    layers.show_marks(paint, None)
    assert not paint.bounding_box.visible


def test_a_removed_layer_is_told(viewer, layers):
    image = make_image(viewer)
    gone = []
    layers.removed.connect(gone.append)
    viewer.layers.remove(image)
    assert gone == [image]


def test_layers_are_let_go_of_after_the_image_was_removed(viewer, layers):
    image = make_image(viewer)
    layers.add_paint(image, make_labels(0), name="paint")
    viewer.layers.remove(image)
    result = layers.show_result(image, make_labels(1), name="result")
    assert isinstance(result, Labels)
    assert result in viewer.layers
