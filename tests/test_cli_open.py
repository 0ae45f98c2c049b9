"""``napari-weak3d open``: what it says where napari cannot start. That it starts is tested with the app."""

import subprocess
import sys
import types
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile

from napari_weak3d.cli import main, opening
from napari_weak3d.errors import Weak3DError


@pytest.fixture
def opened(monkeypatch):
    """What napari would be started with: nothing is started."""
    calls = []
    app = types.ModuleType("napari_weak3d.app.opening")
    app.start = calls.append
    monkeypatch.setitem(sys.modules, "napari_weak3d.app.opening", app)
    monkeypatch.setattr(opening, "check_napari", lambda: None)
    monkeypatch.setenv("DISPLAY", ":99")
    return calls


def test_open_starts_napari_at_the_path(tmp_path, opened, capsys):
    image = tmp_path / "cells.tif"
    tifffile.imwrite(image, np.zeros((3, 4, 5), np.uint8))
    assert main(["open", str(image)]) == 0
    assert opened == [image]
    assert capsys.readouterr() == ("", "")


def test_open_without_a_path_starts_napari_alone(opened):
    assert main(["open"]) == 0
    assert opened == [None]


def test_open_of_a_path_that_is_not_there_starts_nothing(tmp_path, opened, capsys):
    assert main(["open", str(tmp_path / "cels.tif")]) == 2
    assert opened == []
    assert capsys.readouterr().err == f"error: {tmp_path / 'cels.tif'} does not exist: check the name\n"


def test_without_napari_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "napari" else find_spec(name))
    assert main(["open"]) == 2
    assert capsys.readouterr().err == 'error: napari is not installed here: pip install "napari>=0.9" PyQt6\n'


def test_without_qt_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(opening, "find_spec", lambda name: "there")
    monkeypatch.setitem(sys.modules, "qtpy", None)
    assert main(["open"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: Qt, which draws napari's window, cannot be used")
    assert complaint.endswith('pip install "napari>=0.9" PyQt6\n')
    assert complaint.count("\n") == 1


def test_without_a_display_on_linux_it_says_so():
    with pytest.raises(Weak3DError, match="no display"):
        opening.check_display("linux", {})


@pytest.mark.parametrize(
    ("platform", "environment"),
    [("linux", {"DISPLAY": ":0"}), ("linux", {"WAYLAND_DISPLAY": "wayland-0"}), ("win32", {}), ("darwin", {})],
)
def test_with_a_display_or_where_none_is_needed_it_goes_on(platform, environment):
    opening.check_display(platform, environment)


def test_help_of_open_imports_neither_napari_nor_qt():
    code = (
        "import sys, napari_weak3d.cli as cli\n"
        "try: cli.main(['open', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'napari', 'qtpy', 'numpy', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PROJECT|IMAGE" in done.stdout
