"""Synthetic volumes with truth, and weak labels made from any dense truth."""

from napari_weak3d.samples.blobs import make_blobs
from napari_weak3d.samples.bright_field import make_bright_field
from napari_weak3d.samples.optics import Optics, SyntheticSample
from napari_weak3d.samples.registry import SYNTHETIC, SyntheticInfo, make_demo
from napari_weak3d.samples.sheets import CELL, MEMBRANE, make_sheets
from napari_weak3d.samples.tubes import make_tubes
from napari_weak3d.samples.weaken import OBJECT_CLASSES, click_centroids, draw_boxes, paint_slices

__all__ = [
    "CELL",
    "MEMBRANE",
    "OBJECT_CLASSES",
    "SYNTHETIC",
    "Optics",
    "SyntheticInfo",
    "SyntheticSample",
    "click_centroids",
    "draw_boxes",
    "make_blobs",
    "make_bright_field",
    "make_demo",
    "make_sheets",
    "make_tubes",
    "paint_slices",
]
