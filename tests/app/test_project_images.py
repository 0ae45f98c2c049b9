"""The images of a project: known again, shown alone, taken from where they are, left out while they are not there."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app.controller import Controller
from napari_weak3d.app.message_bar import Question
from napari_weak3d.io.project import Project, describe_file, find_source, read_project_image
from napari_weak3d.io.volumes import write_image

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)
LONG = 20_000


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)


@pytest.fixture
def make(make_napari_viewer, fake_jobs):
    """Makes a viewer with the dock's controller; all are closed at the end."""
    made = []

    def make():
        made.append(Controller(make_napari_viewer(), jobs=fake_jobs))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def begin(qtbot):
    """Chooses a layer, begins to paint on it, and waits until the image is in the project."""

    def begin(controller, layer):
        controller.images.choose(layer)
        controller.images.begin()
        qtbot.waitUntil(lambda: controller.desk.work is not None and not controller.desk.unsettled, timeout=LONG)
        return controller.desk.work.image_id

    return begin


@pytest.fixture
def reopen(make, qtbot):
    """Opens a project in a new viewer, and waits until it is worked on, or something is asked."""

    def reopen(folder, *layers):
        again = make()
        for name, data in layers:
            again.viewer.add_image(data, name=name)
        again.open_project(folder)
        bar = again.panels.project.bar
        qtbot.waitUntil(lambda: again.desk.work is not None or bar.current is not None, timeout=LONG)
        return again

    return reopen


def save(path, voxels):
    tifffile.imwrite(path, voxels, imagej=True, metadata={"axes": "ZYX"})


def open_file(controller, path):
    (layer,) = controller.viewer.open(path, plugin="napari")
    return layer


def paint(controller, z):
    layer = controller.desk.tool.paint_layer
    controller.desk.layers.go_to((0, z), controller.desk.work.layer)
    layer.paint((z, 5, 5), 2)
    controller.desk.tool.complete_shown()


def close(controller):
    folder = controller.desk.project.folder
    controller.close()
    return folder


def asked(controller):
    shown = controller.panels.project.bar.current
    assert isinstance(shown, Question), shown
    return shown.text


def answer(controller, text):
    asked(controller)
    next(each for each in controller.panels.project.bar.answer_buttons if each.text() == text).click()


def lose_copy(folder, entry):
    """Leave a project as it is when napari is killed while it copies an image."""
    shutil.rmtree(folder / entry.path)


# ---- known again


@pytest.fixture
def cut_off(make, begin, image):
    """The folder of a project whose image was still being copied when napari ended, and its entry."""
    controller = make()
    begin(controller, controller.viewer.add_image(image, name="cells"))
    paint(controller, 2)
    (entry,) = controller.desk.project.images
    folder = close(controller)
    lose_copy(folder, entry)
    return folder, entry


def test_image_that_was_cut_off_is_known_again_when_it_is_painted_on(cut_off, reopen, begin, image):
    folder, entry = cut_off
    again = reopen(folder)
    assert "was not yet copied" in asked(again)
    assert begin(again, again.viewer.add_image(image, name="anything")) == entry.id
    assert again.desk.tool.slices().annotated == ((0, 2),)
    assert np.array_equal(read_project_image(folder, entry.id).data[0], image)


def test_another_image_of_that_shape_is_asked_about(cut_off, reopen, image, qtbot):
    folder, entry = cut_off
    again = reopen(folder, ("other", image + 1))
    answer(again, "It is chosen")
    qtbot.waitUntil(lambda: "is not the one that was annotated as cells" in asked(again), timeout=LONG)
    assert again.desk.work is None
    answer(again, "Use it all the same")
    qtbot.waitUntil(lambda: again.desk.work is not None and not again.desk.unsettled, timeout=LONG)
    assert np.array_equal(read_project_image(folder, entry.id).data[0], image + 1)


def test_layer_of_another_image_of_the_project_is_refused(make, begin, reopen, image):
    controller = make()
    begin(controller, controller.viewer.add_image(image, name="a"))
    paint(controller, 1)
    begin(controller, controller.viewer.add_image(image + 1, name="b"))
    paint(controller, 2)
    first = controller.desk.project.images[0]
    folder = close(controller)
    lose_copy(folder, first)
    again = reopen(folder)
    assert again.panels.image.layer == "b"
    answer(again, "It is chosen")
    assert "b is another image of this project, b" in asked(again)


def test_time_point_that_was_annotated_is_taken_whichever_is_in_view(make, begin, reopen, qtbot):
    movie = np.random.default_rng(0).integers(0, 9, (9, *SHAPE)).astype(np.uint8)
    controller = make()
    layer = controller.viewer.add_image(movie, name="movie", axis_labels=("t", "z", "y", "x"))
    controller.viewer.dims.set_point(0, 3)
    begin(controller, layer)
    paint(controller, 1)
    (entry,) = controller.desk.project.images
    folder = close(controller)
    lose_copy(folder, entry)
    again = reopen(folder, ("movie", movie))
    again.viewer.dims.set_point(0, 0)
    answer(again, "It is chosen")
    qtbot.waitUntil(lambda: again.desk.work is not None and not again.desk.unsettled, timeout=LONG)
    assert again.desk.work.time_index == 3
    assert np.array_equal(read_project_image(folder, entry.id).data[0], movie[3])


def test_two_dimensional_image_that_was_cut_off_is_gone_on_with(make, begin, reopen, image, qtbot):
    controller = make()
    begin(controller, controller.viewer.add_image(image[0], name="flat"))
    paint(controller, 0)
    (entry,) = controller.desk.project.images
    folder = close(controller)
    lose_copy(folder, entry)
    again = reopen(folder, ("flat", image[0]))
    answer(again, "It is chosen")
    qtbot.waitUntil(lambda: again.desk.work is not None and not again.desk.unsettled, timeout=LONG)
    assert again.desk.work.image_id == entry.id


def test_image_whose_file_is_there_is_taken_from_it_without_a_question(make, begin, reopen, image, tmp_path):
    save(tmp_path / "cells.tif", image)
    controller = make()
    image_id = begin(controller, open_file(controller, tmp_path / "cells.tif"))
    paint(controller, 2)
    project = controller.desk.project
    found = project.image(image_id)
    assert found.source == "file"
    # as it is in the project until the file has been looked into
    unsettled = replace(
        found, source="stored", path=f"images/{image_id}.zarr", fingerprint=None, origin=str(tmp_path / "cells.tif")
    )
    project.replace_image(unsettled)
    folder = close(controller)
    again = reopen(folder)
    assert again.desk.work.image_id == image_id
    assert again.desk.project.image(image_id).source == "file"
    assert again.desk.tool.slices().annotated == ((0, 2),)


def test_copy_that_was_whole_is_used_though_the_project_was_not_told(make, begin, image):
    controller = make()
    image_id = begin(controller, controller.viewer.add_image(image, name="cells"))
    project = controller.desk.project
    assert [each.name for each in (project.folder / "images").iterdir()] == [f"{image_id}.zarr"]
    assert find_source(project.folder, project.image(image_id))[0] == "same"


def test_same_image_opened_twice_is_one_image_of_the_project(make, begin, image):
    controller = make()
    first = controller.viewer.add_image(image, name="cells")
    image_id = begin(controller, first)
    paint(controller, 2)
    assert begin(controller, controller.viewer.add_image(image.copy(), name="cells again")) == image_id
    assert len(controller.desk.project.images) == 1
    assert controller.desk.work.layer is first
    assert len([each for each in controller.viewer.layers if "paint" in each.name]) == 1


# ---- shown


def test_image_that_is_painted_on_is_the_one_in_sight(make, begin, image):
    controller = make()
    a, b = (controller.viewer.add_image(image + n, name=name) for n, name in enumerate("ab"))
    begin(controller, a)
    begin(controller, b)
    assert (a.visible, b.visible) == (False, True)
    begin(controller, a)
    assert (a.visible, b.visible) == (True, False)


def test_images_with_equal_middles_are_told_apart(make, begin, reopen, image):
    controller = make()
    other = image.copy()
    other[0] += 1
    begin(controller, controller.viewer.add_image(image, name="a"))
    paint(controller, 1)
    begin(controller, controller.viewer.add_image(other, name="b"))
    paint(controller, 2)
    again = reopen(close(controller))
    entries = again.desk.project.images
    layers = [again.images.layer_of(entry.id) for entry in entries]
    assert [np.array_equal(layer.data, each) for layer, each in zip(layers, (image, other), strict=True)] == [
        True,
        True,
    ]
    assert [layer.visible for layer in layers] == [True, False]


def test_channels_of_a_project_that_is_opened_are_one_image(make, begin, reopen, image):
    controller = make()
    image_id = begin(
        controller, controller.viewer.add_image(np.stack([image, image + 1]), name="two", channel_axis=None)
    )
    paint(controller, 2)
    again = reopen(close(controller))
    second = again.viewer.layers["two, channel 1"]
    assert again.desk.work.layer is again.viewer.layers["two, channel 0"]
    assert second.visible
    again.images.choose(second)
    assert again.panels.image.begin_button.isHidden()
    assert len(again.panels.image.channel_boxes) == 2
    again.images.begin()
    assert len([each for each in again.viewer.layers if "paint" in each.name]) == 1
    again.panels.image.channels_chosen.emit((1,))
    assert again.desk.project.image(image_id).channels == (1,)


def test_image_that_was_removed_comes_back_from_the_menu_and_by_opening_the_project_again(make, begin, image, qtbot):
    controller = make()
    layer = controller.viewer.add_image(image, name="cells")
    image_id = begin(controller, layer)
    paint(controller, 2)
    for come_back in (
        lambda: controller.panels.project.image_requested.emit(image_id),
        lambda: controller.open_project(controller.desk.project.folder),
    ):
        controller.viewer.layers.remove(controller.desk.work.layer)
        assert controller.desk.work is None
        come_back()
        qtbot.waitUntil(lambda: controller.desk.work is not None, timeout=LONG)
        assert controller.desk.work.image_id == image_id
        assert controller.desk.tool.slices().annotated == ((0, 2),)


def test_damaged_plane_is_named_and_the_others_are_there(make, begin, reopen, image):
    controller = make()
    image_id = begin(controller, controller.viewer.add_image(image, name="cells"))
    paint(controller, 2)
    paint(controller, 4)
    store = controller.desk.project.annotations(image_id)
    folder = close(controller)
    next(store.folder.glob("z00002*")).write_bytes(b"damaged")
    again = reopen(folder)
    assert "painted on cells at z 2 was damaged" in again.panels.train.messages.current.text
    assert again.desk.tool.slices().annotated == ((0, 4),)
    assert again.desk.tool.paint_layer.data[4].any()


# ---- changed, or not there


@pytest.fixture
def filed(make, begin, image, tmp_path):
    """A controller that paints on an image of a file, and that file."""
    save(tmp_path / "cells.tif", image)
    controller = make()
    begin(controller, open_file(controller, tmp_path / "cells.tif"))
    paint(controller, 1)
    return controller, tmp_path / "cells.tif"


def test_changed_file_of_another_shape_is_not_taken_and_the_question_stays(filed, reopen, image, tmp_path, qtbot):
    controller, file = filed
    folder = close(controller)
    save(file, image[:4])
    again = reopen(folder)
    answer(again, "Use it as it is now")
    qtbot.waitUntil(lambda: "is (4, 12, 14) (Z, Y, X) and was (6, 12, 14)" in asked(again), timeout=LONG)
    save(file, image)
    again.close()
    assert reopen(folder).desk.work is not None


def test_training_does_not_learn_from_an_image_that_is_not_there(filed, reopen, begin, image, fake_jobs):
    controller, file = filed
    other = begin(controller, controller.viewer.add_image(image + 1, name="other"))
    paint(controller, 2)
    folder = close(controller)
    file.unlink()
    again = reopen(folder)
    answer(again, "Leave it out")
    again.train()
    assert fake_jobs.request.images == (other,)


def test_image_that_changes_while_a_job_needs_it_is_asked_about(filed, image, fake_jobs, qtbot):
    controller, file = filed
    save(file, image + 1)
    controller.train()
    fake_jobs.fail("VolumeError", "the image cells has changed", where="cells")
    bar = controller.panels.project.bar
    qtbot.waitUntil(lambda: bar.current is not None, timeout=LONG)
    layer = controller.desk.work.layer
    answer(controller, "Use it as it is now")
    qtbot.waitUntil(lambda: np.array_equal(np.asarray(layer.data), image + 1), timeout=LONG)
    controller.train()
    assert len(fake_jobs.requests) == 2
    assert controller.desk.tool.slices().annotated == ((0, 1),)


def test_new_content_of_a_file_is_asked_about_before_it_is_painted_on(filed, image, qtbot):
    controller, file = filed
    save(file, image + 1)
    controller.images.choose(open_file(controller, file))
    controller.images.begin()
    assert "has changed since it was annotated" in asked(controller)
    answer(controller, "Use it as it is now")
    project = controller.desk.project
    qtbot.waitUntil(lambda: project.check_source(project.images[0].id) == "same", timeout=LONG)
    assert len(project.images) == 1


def test_missing_image_of_a_project_that_is_read_only_is_named(filed, reopen, qtbot):
    controller, file = filed
    folder = close(controller)
    file.unlink()
    with Project.open(folder):
        again = reopen(folder)
        bar = again.panels.project.bar
        qtbot.waitUntil(lambda: any(f"cells is not at {file}" in each.text for each in bar._messages), timeout=LONG)


def test_folder_that_is_an_image_is_looked_for_as_a_folder(reopen, image, tmp_path, monkeypatch, qtbot):
    write_image(tmp_path / "cells.zarr", image, spacing=(1, 1, 1), unit="um")
    folder = tmp_path / "project"
    with Project.create(folder) as project:
        project.add_image(describe_file(tmp_path / "cells.zarr"))
    moved = tmp_path / "far" / "away.zarr"
    moved.parent.mkdir()
    (tmp_path / "cells.zarr").rename(moved)
    again = reopen(folder)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(moved))
    answer(again, "Say which folder it is...")
    qtbot.waitUntil(lambda: again.desk.work is not None, timeout=LONG)
    assert Path(again.desk.project.images[0].path) == moved


# ---- several images in a training


def test_training_waits_for_every_image_that_is_still_being_copied(make, begin, image, fake_jobs, qtbot):
    controller = make()
    first = begin(controller, controller.viewer.add_image(image, name="a"))
    paint(controller, 1)
    second = begin(controller, controller.viewer.add_image(image + 1, name="b"))
    paint(controller, 2)
    controller.desk.unsettled.add(first)
    controller.train()
    assert fake_jobs.requests == []
    assert "a is still being copied" in controller.panels.train.messages.current.text
    controller.desk.unsettled.discard(first)
    controller.images._intake.settled.emit(first)
    assert fake_jobs.request.images == (second, first)


def test_image_that_is_empty_by_now_is_left_out_of_a_training(make, begin, image, fake_jobs):
    controller = make()
    begin(controller, controller.viewer.add_image(image, name="a"))
    paint(controller, 1)
    controller.desk.autosave.flush()
    controller.desk.tool.delete((0, 1))
    second = begin(controller, controller.viewer.add_image(image + 1, name="b"))
    paint(controller, 2)
    controller.train()
    assert fake_jobs.request.images == (second,)
    texts = [each.text for each in controller.panels.train.messages._messages]
    assert "Nothing is annotated on a any more: trained without" in texts
