"""What the manifest names: the dock widgets. Imports Qt and napari, never torch."""

from __future__ import annotations

from napari_weak3d.app.dock import SlicesDock

__all__ = ["SlicesDock"]
