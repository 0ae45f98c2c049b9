"""Layers that are given other data while they are annotated: what a job would read is asked about first."""

import numpy as np
import pytest
import tifffile

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.message_bar import Question
from napari_weak3d.io.project import read_project_image
from napari_weak3d.messages import Segment, Train

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 200, SHAPE).astype(np.uint8)


@pytest.fixture
def controller(make_napari_viewer, fake_jobs):
    controller = Controller(make_napari_viewer(), jobs=fake_jobs)
    yield controller
    controller.close()


@pytest.fixture
def begin(controller, qtbot):
    """Paints a slice of a layer, complete."""

    def begin(layer):
        controller.images.choose(layer)
        controller.images.begin()
        qtbot.waitUntil(lambda: controller.desk.work is not None and not controller.images.waiting)
        controller.desk.layers.go_to((0, 2), layer)
        controller.desk.tool.paint_layer.paint((2, 5, 5), 2)
        controller.desk.tool.complete_shown()
        return controller.desk.work.image_id

    return begin


@pytest.fixture
def layer(controller, image, begin):
    """A layer without a file that is painted on."""
    layer = controller.viewer.add_image(image, name="cells")
    begin(layer)
    return layer


def asked(controller):
    shown = controller.panels.train.messages.current
    assert isinstance(shown, Question), shown
    return shown


def answer(controller, text):
    asked(controller)
    next(each for each in controller.panels.train.messages.answer_buttons if each.text() == text).click()


def stored(controller, image_id):
    return np.asarray(read_project_image(controller.desk.project.folder, image_id).data[0])


def test_training_waits_until_the_voxels_in_sight_are_in_the_project(controller, layer, image, fake_jobs, qtbot):
    layer.data = image + 50
    controller.train()
    assert fake_jobs.requests == []
    assert asked(controller).text == "The layer cells shows other voxels than the project has of cells."
    answer(controller, "Use it as it is now")
    qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Train))
    assert fake_jobs.request.images == (controller.desk.work.image_id,)
    assert np.array_equal(stored(controller, controller.desk.work.image_id), image + 50)
    assert controller.desk.tool.paint_layer.data.any()
    fake_jobs.finish(model=None, metrics={}, stopped=True)
    controller.train()
    assert isinstance(fake_jobs.request, Train)  # it is not asked again


def test_voxels_of_another_kind_are_taken_too(controller, layer, image, fake_jobs, qtbot):
    layer.data = image.astype(np.float32) / 7
    controller.train()
    answer(controller, "Use it as it is now")
    qtbot.waitUntil(lambda: isinstance(fake_jobs.request, Train))
    assert controller.desk.project.images[0].dtype == "float32"


def test_other_voxels_can_be_an_image_of_their_own(controller, layer, image, fake_jobs, qtbot):
    first = controller.desk.work.image_id
    layer.data = image + 50
    controller.train()
    answer(controller, "Add it as another image")
    qtbot.waitUntil(lambda: not controller.images.waiting)
    assert controller.desk.work.image_id != first
    assert controller.desk.work.layer is layer
    assert not controller.desk.tool.paint_layer.data.any()
    assert controller.desk.project.annotations(first).painted_planes() == (2,)
    assert np.array_equal(stored(controller, first), image)
    assert np.array_equal(stored(controller, controller.desk.work.image_id), image + 50)
    assert fake_jobs.requests == []


def test_voxels_of_another_shape_are_another_image(controller, layer, image, fake_jobs, qtbot):
    layer.data = image[:4]
    controller.train()
    assert "of another shape: (4, 12, 14), not (6, 12, 14)" in asked(controller).text
    assert list(asked(controller).answers) == ["Add it as another image"]
    answer(controller, "Add it as another image")
    qtbot.waitUntil(lambda: not controller.images.waiting)
    assert controller.desk.tool.paint_layer.data.shape == (4, 12, 14)


def test_an_annotated_image_beside_the_one_in_work_is_asked_about_too(controller, layer, image, begin, qtbot):
    first = controller.desk.work.image_id
    second = begin(controller.viewer.add_image(image + 1, name="others"))
    layer.data = image + 50
    controller.train()
    assert "of cells" in asked(controller).text
    answer(controller, "Add it as another image")
    assert controller.desk.work.image_id == second  # it is gone on with
    assert controller.desk.jobs.request.images == (second, first)
    qtbot.waitUntil(lambda: not controller.desk.unsettled)


def test_layer_of_a_file_that_shows_something_else_is_copied(controller, image, begin, tmp_path, qtbot):
    tifffile.imwrite(tmp_path / "cells.tif", image, imagej=True, metadata={"axes": "ZYX"})
    (layer,) = controller.viewer.open(tmp_path / "cells.tif", plugin="napari")
    image_id = begin(layer)
    assert controller.desk.project.image(image_id).source == "file"
    layer.data = image + 50
    controller.train()
    answer(controller, "Use it as it is now")
    qtbot.waitUntil(lambda: isinstance(controller.desk.jobs.request, Train))
    assert controller.desk.project.image(image_id).source == "stored"
    assert np.array_equal(stored(controller, image_id), image + 50)


def test_applying_asks_about_one_image_and_leaves_one_of_several_out(controller, layer, begin, fake_jobs, add_model):
    first, model = controller.desk.work.image_id, add_model(controller)
    image = layer.data
    layer.data = image + 50
    controller.segment(model, images=(first,))
    assert "of cells" in asked(controller).text
    controller.panels.train.messages.dismiss()
    second = begin(controller.viewer.add_image(image + 1, name="others"))
    controller.segment(model, images=(first, second))
    assert isinstance(fake_jobs.request, Segment)
    assert fake_jobs.request.image == second
    fake_jobs.finish(prediction="aabbccdd")
    messages = controller.panels.train.messages._messages
    assert any("shows other voxels" in each.details for each in messages)


@pytest.mark.parametrize("kind", ["two channels", "time points", "flat", "many levels", "yes or no"])
def test_nothing_is_asked_about_a_layer_that_is_as_it_was(controller, image, fake_jobs, qtbot, kind):
    voxels = {
        "two channels": np.stack([image, image + 1]),
        "time points": np.stack([image + time for time in range(7)]),
        "flat": image[0],
        "many levels": [image, image[:, ::2, ::2]],
        "yes or no": image > 100,
    }[kind]
    labels = ("t", "z", "y", "x") if kind == "time points" else None
    layer = controller.viewer.add_image(voxels, name="cells", axis_labels=labels, multiscale=kind == "many levels")
    controller.viewer.dims.set_point(0, 3)
    controller.images.choose(layer)
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting)
    paint = controller.desk.tool.paint_layer
    paint.paint((0, 5, 5), 2)
    controller.desk.tool.complete([(0, 0)])
    controller.train()
    assert isinstance(fake_jobs.request, Train), controller.panels.train.messages.current


def test_nothing_is_asked_after_a_project_was_opened_again(controller, layer, make_napari_viewer, fake_jobs, qtbot):
    folder = controller.desk.project.folder
    controller.close()
    again = Controller(make_napari_viewer(), jobs=fake_jobs)
    again.open_project(folder)
    qtbot.waitUntil(lambda: again.desk.work is not None)
    again.train()
    assert isinstance(fake_jobs.request, Train)
    again.close()
