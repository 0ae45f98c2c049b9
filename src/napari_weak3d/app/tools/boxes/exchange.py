"""Boxes and masks out of layers and files, and into files, each with what to tell the user about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.sources import spacing_of
from napari_weak3d.app.tools.boxes import steps
from napari_weak3d.app.tools.boxes.files import export_boxes, import_boxes
from napari_weak3d.app.tools.boxes.session import count
from napari_weak3d.app.tools.boxes.work import BoxWork
from napari_weak3d.types import SliceIndex

_CSV = "Tables (*.csv)"


def take_boxes(work: BoxWork, labels_layer: Any, *, layers: Layers, which: SliceIndex | None = None) -> str:
    """Make boxes of the objects in a Labels layer that have none; with ``which`` of those that this slice shows.

    Returns
    -------
    What to say.

    Raises
    ------
    AnnotationError
        The layer is not of the image's shape.
    """
    labels = layers.labels_of(labels_layer, work.image_layer)
    ids = steps.take_boxes(work.session, labels, value=work.value, which=which)
    work.choose(ids)
    return f"{count(len(ids))} made of {labels_layer.name}" if ids else "Every object has a box already"


def take_masks(work: BoxWork, labels_layer: Any, *, layers: Layers) -> str:
    """Take masks of the chosen boxes from a Labels layer, of all boxes if none is chosen; gives what to say.

    Raises
    ------
    AnnotationError
        The layer is not of the image's shape.
    """
    labels = layers.labels_of(labels_layer, work.image_layer)
    n_masks = steps.take_masks(work.session, labels, work.chosen or work.session.table.ids.tolist())
    return f"{steps.count_masks(n_masks)} taken from {labels_layer.name} and marked as done"


def import_file(panel: QWidget, work: BoxWork) -> str:
    """Add the boxes of a CSV file that the user names; gives what to say, "" if they name none.

    Raises
    ------
    Weak3DError
        The file cannot be read, or says nonsense.
    """
    path, _ = QFileDialog.getOpenFileName(panel, "Import boxes", "", _CSV)
    return import_boxes(work.session, Path(path)) if path else ""


def export_file(panel: QWidget, work: BoxWork) -> str:
    """Write all boxes into a CSV file that the user names; gives what to say, "" if they name none.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    path, _ = QFileDialog.getSaveFileName(panel, "Export boxes", f"{work.image_layer.name}.csv", _CSV)
    spacing, unit = spacing_of(work.image_layer)
    return export_boxes(work.session, Path(path), spacing=spacing, unit=unit) if path else ""
