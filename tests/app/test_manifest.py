"""What napari reads of this package, and how lightly it opens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

import napari_weak3d
from napari_weak3d.app import controller as controllers
from napari_weak3d.app.commands import COMMANDS
from napari_weak3d.app.controller import Controller

pytestmark = pytest.mark.window
FILE = Path(napari_weak3d.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_file(FILE)


def test_every_command_of_the_manifest_is_there(manifest):
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id


def test_manifest_is_found_by_napari():
    assert PluginManifest.from_distribution("napari-weak3d").name == "napari-weak3d"


def test_dock_is_offered_under_its_name(manifest):
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == ["Weak3D: slices", "Weak3D: centroids", "Weak3D: boxes"]


def test_menus_hold_the_dock_and_every_command_of_the_keys(manifest):
    titles = {command.id: command.title for command in manifest.contributions.commands}
    shown = [titles[item.command] for item in manifest.contributions.menus["napari-weak3d.segment"]]
    assert "Weak3D: slices" in shown
    for command in COMMANDS:
        assert any(command.title in title for title in shown), command


def test_commands_reach_the_controller_of_the_viewer(make_napari_viewer, fake_jobs, monkeypatch):
    viewer = make_napari_viewer()
    made = Controller(viewer, jobs=fake_jobs)
    monkeypatch.setitem(controllers._controllers, id(viewer), made)
    called = []
    for command in COMMANDS:
        monkeypatch.setattr(made, command.verb, lambda verb=command.verb: called.append(verb))
    for command in COMMANDS:
        import_python_name(f"napari_weak3d.app.commands:{command.function}")(viewer)
    assert called == [command.verb for command in COMMANDS]
    made.close()


@pytest.mark.slow
def test_dock_opens_without_torch():
    code = """
import json, sys, napari
viewer = napari.Viewer(show=False)
viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
print(json.dumps([name for name in ("torch", "matplotlib", "dask") if name in sys.modules]))
viewer.close()
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "torch" not in json.loads(done.stdout.splitlines()[-1])
