"""napari's File > Open, or a drop onto its window: a project folder opens in the dock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import napari

from napari_weak3d.app.controller import controller_of
from napari_weak3d.app.layer_data import LayerData, image_layers, labels_layer, points_layer
from napari_weak3d.io.project import Project, read_project_image
from napari_weak3d.types import Annotation, Centroids, Slices, Volume

PROJECT_FILE = "project.json"
PLUGIN, DOCK = "napari-weak3d", "Weak3D: slices"
"""As in the manifest."""
Reader: TypeAlias = Callable[[str | Sequence[str]], list[Any]]
_NO_LAYERS: list[Any] = [(None,)]
"""What tells napari that the path was opened in another way than as layers."""


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return what opens this path: a project's folder or its ``project.json``; None where it is neither."""
    return read if find_project(path) else None


def read(path: str | Sequence[str]) -> list[Any]:
    """Open a project: in the dock of napari's window, which adds the layers, or else as layers alone.

    Raises
    ------
    StorageError
        The project is damaged, or of a newer version.
    """
    folder = find_project(path)
    if folder is None:
        return []
    viewer = napari.current_viewer()
    if viewer is None:  # a script without a window
        return read_layers(folder)
    open_in_dock(viewer, folder)
    return _NO_LAYERS


def open_in_dock(viewer: Any, folder: Path) -> None:
    """Show our dock in this viewer, and open the project there."""
    viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    controller_of(viewer).open_project(folder)


def read_layers(folder: Path) -> list[LayerData]:
    """Return each image of a project as layers, and what is painted on it; the project is closed again.

    Raises
    ------
    StorageError
        The project is damaged, or of a newer version.
    VolumeError
        An image is missing, or has changed.
    """
    layers: list[LayerData] = []
    with Project.open(folder) as project:
        for entry in project.images:
            volume = read_project_image(folder, entry.id)
            names = [f"{entry.name}, channel {channel}" for channel in range(volume.n_channels)]
            layers += image_layers(volume, names=tuple(names) if len(names) > 1 else (entry.name,))
            for kind in project.annotated(entry.id):
                layers += _annotation_layers(project.annotations(entry.id, kind).read(), volume, name=entry.name)
    return layers


def _annotation_layers(annotation: Annotation | None, volume: Volume, *, name: str) -> list[LayerData]:
    match annotation:
        case Slices():
            return [labels_layer(annotation.labels, volume, name=f"{name} paint")]
        case Centroids():
            return [points_layer(annotation.points_vox, volume, name=f"{name} clicks")]
        case _:
            return []


def find_project(path: str | Sequence[str]) -> Path | None:
    """Return the folder of the project that a path names, by itself or by its ``project.json``, or None."""
    if not isinstance(path, str):
        return find_project(path[0]) if len(path) == 1 else None
    place = Path(path)
    folder = place.parent if place.name == PROJECT_FILE else place
    return folder if (folder / PROJECT_FILE).is_file() else None
