"""A project folder opened through napari."""

import napari
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager

from napari_weak3d.app import project_reader
from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import Project, SlicesState, describe_file

pytestmark = pytest.mark.window

SPACING = (2.0, 0.5, 0.5)


@pytest.fixture
def painted():
    labels = np.zeros((6, 8, 10), np.int32)
    labels[2, 2:5, 3:6] = 4
    return labels


@pytest.fixture
def folder(tmp_path, painted):
    """A project of one image with one painted slice."""
    tifffile.imwrite(tmp_path / "cells.tif", np.arange(480, dtype=np.uint16).reshape(6, 8, 10))
    with Project.create(tmp_path / "mine") as project:
        entry = describe_file(tmp_path / "cells.tif", spacing=SPACING)
        project.add_image(entry)
        state = SlicesState(paint="objects", annotated=((0, 2),), classes=(), region=None, effort_s=0.0)
        project.annotations(entry.id).write(state, {2: painted[2]})
    return tmp_path / "mine"


@pytest.fixture
def dock(monkeypatch):
    """A window whose dock only notes what it is asked to open: (kind, what) in order."""
    noted = []

    class Window:
        def add_plugin_dock_widget(self, plugin, widget):
            noted.append((plugin, widget))

    class Viewer:
        window = Window()

    class Controller:
        def open_project(self, place):
            noted.append(("project", place))

    monkeypatch.setattr(napari, "current_viewer", Viewer)
    monkeypatch.setattr(project_reader, "controller_of", lambda viewer: Controller())
    return noted


@pytest.mark.parametrize("name", [".", "project.json"])
def test_project_dropped_on_napari_opens_in_the_dock(name, folder, dock):
    path = str(folder / name)
    assert project_reader.get_reader(path)(path) == [(None,)]
    assert dock == [("napari-weak3d", "Weak3D: slices"), ("project", folder)]


def test_folder_and_file_that_are_no_project_are_left_to_others(tmp_path):
    (tmp_path / "project.txt").touch()
    assert project_reader.get_reader(str(tmp_path)) is None
    assert project_reader.get_reader(str(tmp_path / "project.txt")) is None
    assert project_reader.get_reader([str(tmp_path), str(tmp_path)]) is None


@pytest.mark.slow
def test_without_a_window_napari_gets_image_and_paint_where_they_belong(folder, painted, monkeypatch):
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    PluginManager.instance().discover()
    viewer = ViewerModel()
    image, paint = viewer.open(folder, plugin="napari-weak3d")
    np.testing.assert_array_equal(np.asarray(image.data).ravel(), np.arange(480))
    np.testing.assert_array_equal(paint.data, painted)
    for layer in (image, paint):
        assert tuple(layer.scale) == SPACING
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3


def test_project_can_be_written_to_after_it_was_read(folder):
    project_reader.read_layers(folder)
    with Project.open(folder) as project:
        assert not project.read_only


def test_damaged_project_is_named(folder):
    (folder / "project.json").write_text("{")
    with pytest.raises(StorageError, match=r"project\.json"):
        project_reader.read_layers(folder)
