"""Writing a result to files: its table, or its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.shown_result import Result, measure
from napari_weak3d.io.export import export_result
from napari_weak3d.io.labels import write_label_series
from napari_weak3d.io.project import ImageEntry
from napari_weak3d.io.time_stack import TimeStack

_FILES = {
    "csv": ("Export the table of objects", "Tables (*.csv)", ".csv"),
    "tiff": ("Export the labels", "TIFF (*.tif *.tiff)", ".tif"),
    "zarr": ("Export the labels", "OME-Zarr (*.zarr)", ".zarr"),
}


def choose_file(desk: Desk, result: Result, kind: str) -> Path | None:
    """Ask where to write "csv", "tiff" or "zarr"; None: nowhere."""
    title, kinds, ending = _FILES[kind]
    start = f"{result.entry.name} {'objects' if kind == 'csv' else 'labels'}{ending}"
    path, _ = QFileDialog.getSaveFileName(desk.panels.result, title, start, kinds)
    if not path:
        return None
    return Path(path) if Path(path).suffix else Path(path + ending)


def export(desk: Desk, result: Result, kind: str, path: Path) -> None:
    """Write a result as it is in the viewer, corrections included, on a thread: "csv", "tiff" or "zarr"."""
    shown = result.layer.data

    def write() -> None:
        from napari_weak3d.measure import write_measures  # noqa: PLC0415  # scipy, which the dock opens without

        if kind == "csv":
            write_measures(path, measure(result, shown))
        else:
            export_result(path, np.array(shown), image=result.entry)

    desk.background.run(write, done=lambda _: desk.say(f"Written: {path}"), failed=desk.complain)


def export_series(desk: Desk, stack: TimeStack, image: ImageEntry, path: Path) -> None:
    """Write the labels of all time points, of which ``image`` is one, into one file on a thread: .tif or .zarr."""
    desk.background.run(
        lambda: write_label_series(path, stack, spacing=image.spacing, unit=image.unit),
        done=lambda _: desk.say(f"Written, {len(stack)} time points: {path}"),
        failed=desk.complain,
    )
