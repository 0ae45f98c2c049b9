"""Starting napari with the dock, at a project or an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari

from napari_weak3d.app.layer_data import frame_of
from napari_weak3d.app.project_reader import DOCK, PLUGIN, find_project, open_in_dock
from napari_weak3d.errors import VolumeError
from napari_weak3d.io.formats import open_stored
from napari_weak3d.io.volumes import open_volume
from napari_weak3d.types import Volume


def start(path: Path | None = None) -> None:
    """Open napari with the dock, and return when its window is closed.

    Parameters
    ----------
    path
        A project folder, or an image in a format that our readers know; None: neither.

    Raises
    ------
    VolumeError
        It is neither; no window was opened then.
    """
    folder = find_project(str(path)) if path else None
    if path and not folder:
        open_stored(path)  # complains before there is a window
    viewer = napari.Viewer()
    if folder:
        open_in_dock(viewer, folder)
    else:
        if path:
            open_image(viewer, path)
        viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    napari.run()


def open_image(viewer: Any, path: Path) -> None:
    """Open an image file in napari as we read it: with its voxel size, and with its channels first.

    napari's own reader leaves the voxel size out, and the axes as they lie in the file, ZCYX for most; it is used
    nevertheless, since a layer of its knows which file it came from. What is no single volume, a time series or RGB,
    stays as napari reads it: the dock says what can be done with it.
    """
    layers = viewer.open(path, plugin="napari")
    volume = _look_at(path)
    if volume is None:
        return
    frame = frame_of(volume)
    wanted = volume.data if volume.n_channels > 1 else volume.data[0]
    before = len(wanted.shape) - len(volume.shape)
    for layer in layers:
        shown = layer.data[0] if layer.multiscale else layer.data
        if tuple(shown.shape) != tuple(wanted.shape):
            layer.data = [wanted] if layer.multiscale else wanted
        layer.scale = (1.0,) * before + frame["scale"]
        layer.units = ("pixel",) * before + frame["units"]
        layer.axis_labels = ("c",) * before + frame["axis_labels"]
    viewer.reset_view()
    viewer.dims.current_step = tuple((n - 1) // 2 for n in viewer.dims.nsteps)  # the scale moved it off the middle


def _look_at(path: Path) -> Volume | None:
    """Open an image with our own reader; the dock warns of an unknown voxel size, in its own words."""
    try:
        return open_volume(path)[0]
    except VolumeError:
        return None
