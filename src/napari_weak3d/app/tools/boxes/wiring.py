"""What the wires of boxes are: points, directions and colours for a Vectors layer."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.boxes.crossing import Floats, outlines, wires
from napari_weak3d.app.tools.boxes.table import BoxTable, Corners
from napari_weak3d.types import SliceIndex

_REGION = (1.0, 1.0, 1.0, 1.0)
_FOUND = (0.4, 0.8, 0.93, 1.0)
"""Of boxes in a preview: no class has this blue before the fourth."""
_CHOSEN = (1.0, 1.0, 0.0, 1.0)
"""Of boxes that are chosen, in 3D: no class has it."""
_TILT = 1e-3
"""Part of its length by which a wire along z or x leans towards y. napari draws a vector as two flat bands, one across
each of these axes: a wire just along one would have one band only, which is not seen from its edge."""


def all_wires(table: BoxTable, found: Corners, *, chosen: Collection[int], scale: Floats) -> tuple[Floats, Floats]:
    """Edges of all boxes, of what a preview has found, and of the region.

    Parameters
    ----------
    found
        (N, 2, 3)
    chosen
        Ids of boxes that stand out.

    Returns
    -------
    (W, 2, 3) points and directions, and their colours (W, 4).
    """
    colours = colours_of(table, range(len(table)))
    colours[table.find(chosen)] = _CHOSEN
    region = [] if table.region is None else [_corners_of(table.region)]
    boxes = np.concatenate([table.corners, found, np.array(region, np.int64).reshape(-1, 2, 3)])
    each = [colours, np.tile(_FOUND, (len(found), 1)), np.tile(_REGION, (len(region), 1))]
    return _lean(wires(boxes, scale=scale)), np.repeat(np.concatenate(each), 12, axis=0)


def flat_wires(table: BoxTable, found: Corners, *, which: SliceIndex, scale: Floats) -> tuple[Floats, Floats]:
    """The region and what a preview has found in a slice, as (N, 2, 3) points and directions; colours (N, 4)."""
    region = [] if table.region is None else [_corners_of(table.region)]
    edges = outlines(np.array(region, np.int64).reshape(-1, 2, 3), which, scale=scale)
    previewed = outlines(found, which, scale=scale)
    colours = [np.tile(_REGION, (len(edges), 1)), np.tile(_FOUND, (len(previewed), 1))]
    return np.concatenate([edges, previewed]), np.concatenate(colours)


def colours_of(table: BoxTable, rows: Collection[int]) -> Floats:
    """Give the colours, (N, 4) in 0..1, of the classes of these rows."""
    by_value = {
        row.value: [int(row.color[place : place + 2], 16) / 255 for place in (1, 3, 5)] + [1.0] for row in table.rows
    }
    return np.array([by_value[int(table.classes[row])] for row in rows], dtype=np.float64).reshape(-1, 4)


def _corners_of(region: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    """((z0, z1), ...) -> (2, 3)."""
    return np.array(region, dtype=np.int64).T


def _lean(lines: Floats) -> Floats:
    leaning = lines.copy()
    leaning[:, 1, 1] += _TILT * (lines[:, 1, 0] + lines[:, 1, 2])
    return leaning
