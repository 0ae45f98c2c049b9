"""The label image of masks beside a CSV file of boxes: what it is called, and whether the table speaks of one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.io.annotations.tables import read_table

CLASS, MASK = "class", "mask_id"
_ENDINGS = ("-masks.tif", ".masks.tif")
"""The first is written. The second is what the dock wrote once."""


def masks_path(path: Path) -> Path:
    """Return where the masks of a CSV file of boxes are written: ``cells-masks.tif`` beside ``cells.csv``."""
    return path.with_name(path.stem + _ENDINGS[0])


def find_masks(path: Path) -> Path | None:
    """Return the label image beside a CSV file of boxes; None where there is none."""
    named = (path.with_name(path.stem + ending) for ending in _ENDINGS)
    return next((file for file in named if file.exists()), None)


def count_named_masks(path: Path) -> int:
    """Count the boxes of a CSV file that its column mask_id says to have a mask, wherever that is.

    Raises
    ------
    AnnotationError
        The file is no table.
    """
    return sum(cell not in ("", "0") for cell in read_table(path).columns.get(MASK, ()))


def find_repeated(corners: NDArray[np.int64], classes: Collection[int] | NDArray[np.int64]) -> NDArray[np.intp]:
    """Give the rows (M,) of boxes (N, 2, 3) that an earlier row has given already, with the same class."""
    rows = np.column_stack([corners.reshape(-1, 6), np.asarray(classes, np.int64)])
    _, first = np.unique(rows, axis=0, return_index=True)
    return np.setdiff1d(np.arange(len(rows)), first)
