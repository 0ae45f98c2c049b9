"""Projects come and go: closing loses nothing, moving says what it does, and the one that was killed is offered."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_weak3d.app import controller as controllers
from napari_weak3d.app import recent
from napari_weak3d.app.controller import Controller
from napari_weak3d.app.message_bar import Question
from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import AnnotationStore, Project

pytestmark = pytest.mark.window
SHAPE = (6, 12, 14)
LONG = 20_000


@pytest.fixture
def make(make_napari_viewer, fake_jobs):
    made = []

    def make():
        viewer = make_napari_viewer()
        made.append(Controller(viewer, jobs=fake_jobs))
        controllers._controllers[id(viewer)] = made[-1]
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def painting(make, qtbot):
    controller = make()
    voxels = np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)
    controller.images.choose(controller.viewer.add_image(voxels, name="cells"))
    controller.images.begin()
    qtbot.waitUntil(lambda: not controller.images.waiting, timeout=LONG)
    controller._leaving._close_window = controller.close  # the window itself goes with the test's viewer
    return controller


@pytest.fixture
def full_disk(monkeypatch):
    def full(self, state, planes):
        raise StorageError("the disk is full: free some space, or choose another place")

    with monkeypatch.context() as patched:
        patched.setattr(AnnotationStore, "write", full)
        yield patched


def paint(controller, z):
    controller.desk.layers.go_to((0, z), controller.desk.work.layer)
    controller.desk.tool.paint_layer.paint((z, 5, 5), 2)


def close_by_hand(controller):
    """Press the window's cross; returns whether napari would close."""
    event = QCloseEvent()
    stays = controller.eventFilter(controller._window, event)
    assert stays != event.isAccepted()
    return not stays


def answer(controller, text):
    bar = controller.panels.project.bar
    assert isinstance(bar.current, Question), bar.current
    next(button for button in bar.answer_buttons if button.text() == text).click()


def says(controller):
    return [each.text for each in controller.panels.project.bar._messages]


# ---- closing


def test_napari_stays_open_while_paint_cannot_be_saved(painting, full_disk):
    paint(painting, 2)
    folder = painting.desk.project.folder
    assert not close_by_hand(painting)
    assert "the disk is full" in painting.panels.project.bar.current.text
    assert painting.desk.tool.paint_layer.data.any()
    answer(painting, "Stay")
    full_disk.undo()
    assert close_by_hand(painting)
    with Project.open(folder) as project:
        assert project.annotations(project.images[0].id).painted_planes() == (2,)


def test_project_whose_paint_could_not_be_saved_is_not_removed(painting, full_disk):
    paint(painting, 2)
    folder = painting.desk.project.folder
    painting.close()
    assert (folder / "project.json").is_file()


def test_paint_is_saved_elsewhere_when_the_disk_is_full(painting, full_disk, tmp_path, monkeypatch, qtbot):
    paint(painting, 2)
    assert not close_by_hand(painting)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "stick"), ""))
    full_disk.undo()
    answer(painting, "Save elsewhere...")
    qtbot.waitUntil(lambda: painting._closed, timeout=LONG)
    with Project.open(tmp_path / "stick") as project:
        assert project.annotations(project.images[0].id).painted_planes() == (2,)


def test_closing_while_an_image_is_copied_asks_and_goes_on_when_it_is_there(painting, qtbot):
    paint(painting, 2)
    image_id = painting.desk.work.image_id
    painting.desk.unsettled.add(image_id)
    assert not close_by_hand(painting)
    assert "cells is still being copied" in painting.panels.project.bar.current.text
    answer(painting, "Close when it is there")
    assert not painting._closed
    painting.desk.unsettled.discard(image_id)
    painting.images._intake.settled.emit(image_id)
    QApplication.processEvents()
    assert painting._closed


def test_closing_all_the_same_closes(painting, full_disk):
    paint(painting, 2)
    assert not close_by_hand(painting)
    answer(painting, "Close all the same")
    assert painting._closed


def test_question_about_paint_that_could_not_be_saved_goes_when_it_is(painting, full_disk, qtbot):
    paint(painting, 2)
    assert not close_by_hand(painting)
    full_disk.undo()
    with qtbot.waitSignal(painting.desk.autosave.saved):
        pass
    assert painting.panels.project.bar.current is None


def test_question_about_an_image_that_is_being_copied_goes_when_it_is_there(painting):
    image_id = painting.desk.work.image_id
    painting.desk.unsettled.add(image_id)
    assert not close_by_hand(painting)
    painting.desk.unsettled.discard(image_id)
    painting.images._intake.settled.emit(image_id)
    assert painting.panels.project.bar.current is None
    assert not painting._closed


def test_files_of_the_user_in_a_project_without_paint_stay(painting):
    folder = painting.desk.project.folder
    (folder / "notes.txt").write_text("mine")
    painting.close()
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


# ---- moving


def test_moved_project_is_called_as_its_folder_and_says_where_its_images_are(painting, tmp_path, qtbot):
    voxels = np.zeros(SHAPE, np.uint8)
    tifffile.imwrite(tmp_path / "more.tif", voxels, imagej=True, metadata={"axes": "ZYX"})
    (layer,) = painting.viewer.open(tmp_path / "more.tif", plugin="napari")
    painting.images.choose(layer)
    painting.images.begin()
    qtbot.waitUntil(lambda: not painting.images.waiting, timeout=LONG)
    paint(painting, 2)
    old = painting.desk.project.folder
    painting.projects.move(tmp_path / "MyStudy")
    assert any(text.startswith("The project is being moved to") for text in says(painting))
    painting.open_project(tmp_path)  # not now
    assert any("wait for its end" in text for text in says(painting))
    assert not close_by_hand(painting)
    paint(painting, 3)
    qtbot.waitUntil(lambda: not painting.projects.carrying, timeout=LONG)
    project = painting.desk.project
    assert (project.folder, project.name) == (tmp_path / "MyStudy", "MyStudy")
    assert project.images[1].relative_path == "../more.tif"
    assert not old.exists()
    assert any(text == f"The project is in {tmp_path / 'MyStudy'} now" for text in says(painting))
    painting.desk.autosave.flush()
    assert project.annotations(project.images[1].id).painted_planes() == (2, 3)


def test_move_that_fails_leaves_the_project_where_it_was(painting, tmp_path, monkeypatch, qtbot):
    paint(painting, 2)
    old = painting.desk.project.folder
    for name in ("rename", "link"):
        monkeypatch.setattr(f"os.{name}", lambda *_: (_ for _ in ()).throw(OSError("another disk")))
    monkeypatch.setattr(shutil, "copytree", lambda *_, **__: (_ for _ in ()).throw(OSError("no space")))
    painting.projects.move(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: not painting.projects.carrying, timeout=LONG)
    assert painting.desk.project.folder == old
    assert not painting.desk.project.read_only
    assert any("Could not move the project" in text for text in says(painting))


# ---- opening


def test_project_that_is_free_again_becomes_writable_when_it_is_opened_again(painting, make, qtbot):
    paint(painting, 2)
    folder = painting.desk.project.folder
    painting.desk.autosave.flush()
    second = make()
    second.open_project(folder)
    qtbot.waitUntil(lambda: second.desk.work is not None, timeout=LONG)
    second.complete_slice()
    second.desk.tool.complete_shown()
    assert second.desk.tool.slices().annotated == ()
    second.open_project(folder)
    assert second.desk.project.read_only
    painting.close()
    second.open_project(folder)
    assert not second.desk.project.read_only
    qtbot.waitUntil(lambda: second.desk.work is not None, timeout=LONG)
    assert second.desk.tool.panel.isEnabled()
    second.complete_slice()
    assert len(second.desk.tool.slices().annotated) == 1


def test_project_that_napari_was_killed_in_is_offered_before_the_last_one(make, tmp_path, qtbot):
    for name in ("killed", "closed"):
        Project.create(tmp_path / name).close()
    recent.remember(tmp_path / "killed", closed=False)
    recent.remember(tmp_path / "closed", closed=True)
    controller = make()
    bar = controller.panels.project.bar
    qtbot.waitUntil(lambda: bar.current is not None, timeout=LONG)
    assert bar.current.text.startswith("napari ended before it was closed")
    assert "Continue killed?" in bar.current.text
    panel = controller.panels.project
    panel.menu.aboutToShow.emit()
    menu = next(action.menu() for action in panel.menu.actions() if action.text() == "Open recent")
    assert [Path(action.text()).name for action in menu.actions()] == ["closed", "killed"]


# ---- a disk that says no


def test_tool_that_cannot_be_saved_is_stayed_with(painting, full_disk, qtbot):
    paint(painting, 2)
    painting.choose_tool("centroids")
    assert painting.desk.tool.method == "slices"
    assert painting.panels.tool.chooser.currentData() == "slices"
    assert painting.desk.tool.paint_layer.data.any()
    assert "could not be saved" in painting.panels.train.messages.current.text
    full_disk.undo()
    painting.choose_tool("centroids")
    painting.choose_tool("slices")
    assert painting.desk.tool.paint_layer.data[2].any()


def test_image_that_cannot_be_saved_is_stayed_with(painting, full_disk, qtbot):
    paint(painting, 2)
    begun = painting.desk.work
    other = np.random.default_rng(4).integers(0, 255, SHAPE).astype(np.uint8)
    painting.images.choose(painting.viewer.add_image(other, name="second"))
    painting.images.begin()
    qtbot.waitUntil(lambda: not painting.desk.unsettled)
    assert painting.desk.work == begun
    assert painting.desk.tool.paint_layer.data.any()
    painting.new_project()
    assert painting.desk.project is not None
    painting.viewer.layers.remove(begun.layer)
    assert painting.desk.tool.paint_layer.data.any()


def test_full_disk_is_forgotten_when_the_paint_is_saved(painting):
    painting.desk.autosave.failed.emit(StorageError("the disk is full"))
    assert "disk is full" in painting.panels.train.messages.current.text
    painting.desk.autosave.saved.emit(2)
    assert painting.panels.train.messages.current.text == "What you annotated is saved again"


@pytest.mark.parametrize("tool", ["slices", "centroids", "boxes"])
def test_copy_of_a_read_only_project_can_be_annotated(painting, make, tmp_path, qtbot, tool):
    paint(painting, 2)
    painting.projects.write()
    second = make()
    second.open_project(painting.desk.project.folder)
    qtbot.waitUntil(lambda: second.desk.work is not None)
    second.choose_tool(tool)
    assert second.desk.project.read_only
    second.projects.save_as(tmp_path / "mine")
    qtbot.waitUntil(lambda: not second.projects.carrying)
    assert not second.desk.project.read_only
    layer = second.desk.tool.paint_layer if tool == "slices" else second.viewer.layers.selection.active
    assert layer.editable


# ---- an image that could not be copied


@pytest.fixture
def uncopied(make, monkeypatch, qtbot):
    """An image is painted on whose copy the disk refused; yields the controller and what mends the disk."""
    controller = make()
    voxels = np.random.default_rng(3).integers(0, 255, SHAPE).astype(np.uint8)

    def full(self, volume, **_):
        raise StorageError("the disk is full: free some space")

    with monkeypatch.context() as patched:
        patched.setattr(Project, "store_volume", full)
        controller.images.choose(controller.viewer.add_image(voxels, name="cells"))
        controller.images.begin()
        qtbot.waitUntil(lambda: isinstance(controller.panels.train.messages.current, Question), timeout=LONG)
        paint(controller, 2)
        controller.desk.tool.complete_shown()
        yield controller, patched


def press(controller, text):
    bar = controller.panels.train.messages
    next(button for button in bar.answer_buttons if button.text() == text).click()


def test_train_offers_again_an_image_that_could_not_be_copied_and_trains_when_it_is_there(uncopied, fake_jobs, qtbot):
    controller, disk = uncopied
    press(controller, "Leave it")
    controller.train()
    assert "cells could not be copied into the project before" in controller.panels.train.messages.current.text
    assert not fake_jobs.requests
    disk.undo()
    press(controller, "Copy again and train")
    qtbot.waitUntil(lambda: len(fake_jobs.requests) == 1, timeout=LONG)
    assert fake_jobs.requests[0].images == (controller.desk.work.image_id,)
    assert not controller.desk.uncopied


def test_image_that_cannot_be_copied_again_is_offered_once_more(uncopied, fake_jobs, qtbot):
    controller, _ = uncopied
    press(controller, "Leave it")
    controller.train()
    press(controller, "Copy again and train")
    messages = controller.panels.train.messages
    qtbot.waitUntil(lambda: isinstance(messages.current, Question) and "the disk is full" in messages.current.text)
    assert not controller.desk.busy
    assert not fake_jobs.requests
    press(controller, "Leave it")
    controller.train()
    assert "could not be copied into the project before" in messages.current.text


def test_train_offers_an_image_again_that_was_left_out_when_the_project_was_opened(uncopied, make, qtbot, fake_jobs):
    controller, disk = uncopied
    folder = controller.desk.project.folder
    controller.close()
    again = make()
    again.open_project(folder)
    bar = again.panels.project.bar
    qtbot.waitUntil(lambda: isinstance(bar.current, Question) and "was not yet copied" in bar.current.text)
    answer(again, "Leave it out")
    disk.undo()
    voxels = np.random.default_rng(4).integers(0, 255, SHAPE).astype(np.uint8)
    again.images.choose(again.viewer.add_image(voxels, name="other"))
    again.images.begin()
    qtbot.waitUntil(lambda: not again.desk.unsettled, timeout=LONG)
    paint(again, 1)
    again.desk.tool.complete_shown()
    again.train()
    assert "cells could not be copied into the project before" in again.panels.train.messages.current.text
    press(again, "Train without")
    assert fake_jobs.requests[0].images == (again.desk.work.image_id,)


# ---- a home that is full or read-only


@pytest.fixture
def no_home(tmp_path):
    """Nothing can be written where projects go: a file is in the way."""
    (Path.home() / "napari-weak3d").write_text("in the way")


def test_another_place_is_offered_where_no_project_can_be_made_and_painting_begins_there(
    no_home, make, tmp_path, monkeypatch, qtbot
):
    controller = make()
    controller.images.choose(controller.viewer.add_image(np.ones(SHAPE, np.uint8), name="cells"))
    controller.images.begin()
    assert "Cannot make the folder" in controller.panels.project.bar.current.text
    assert controller.desk.project is None
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    answer(controller, "Choose another place...")  # and thinks better of it
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "stick"))
    answer(controller, "Choose another place...")
    qtbot.waitUntil(lambda: controller.desk.work is not None, timeout=LONG)
    assert controller.desk.project.folder.parent == tmp_path / "stick"
    controller.desk.tool.paint_layer.paint((1, 3, 3), 2)
    qtbot.waitUntil(lambda: not controller.desk.unsettled, timeout=LONG)
    controller.new_project()
    controller.images.begin()
    assert controller.desk.project.folder.parent == tmp_path / "stick"


def test_place_can_be_mended_and_tried_again(no_home, make):
    controller = make()
    controller.images.choose(controller.viewer.add_image(np.ones(SHAPE, np.uint8), name="cells"))
    controller.images.begin()
    (Path.home() / "napari-weak3d").unlink()
    answer(controller, "Try again")
    assert controller.desk.work is not None


def test_folder_that_may_not_be_read_is_told(painting, tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        painting.projects.save_as(tmp_path / "theirs")
        painting.models.apply_to_files("abcd", tmp_path / "theirs")
    text = f"Cannot read {tmp_path / 'theirs'}: Permission denied"
    assert says(painting)[-1] == text
    assert [each.text for each in painting.panels.train.messages._messages] == [text]
    assert not painting.projects.carrying
