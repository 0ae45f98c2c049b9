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
