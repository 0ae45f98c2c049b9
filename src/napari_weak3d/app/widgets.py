"""What the manifest names: the dock, opened at each of its tools. Imports Qt and napari, never torch."""

from __future__ import annotations

from typing import Any

from napari_weak3d.app.dock import Dock


class SlicesDock(Dock):
    """Opened by "Weak3D: slices"."""

    def __init__(self, napari_viewer: Any) -> None:  # napari makes classes only, and gives the viewer by this name
        super().__init__(napari_viewer, "slices")


class CentroidsDock(Dock):
    """Opened by "Weak3D: centroids"."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "centroids")


class BoxesDock(Dock):
    """Opened by "Weak3D: boxes"."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "boxes")
