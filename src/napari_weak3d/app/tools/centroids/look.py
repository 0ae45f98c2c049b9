"""How clicks are shown: rings about as large as the cells, fainter the farther their slice is."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Points

from napari_weak3d.app.grid import Grid

CLICKED, PROPOSED, CURRENT = "#ffd700", "#ff66cc", "#ffffff"
_MARK = 0.5
"""A ring's diameter, of a cell's: what it is on stays to be seen."""
_RING = 0.12
_GUESS = 1 / 30
"""A cell's radius before anything is known, of the image's width."""
_ROOM = 0.5
"""Cells that touch are as far apart as they are wide."""


def make_points(grid: Grid, *, name: str, color: str) -> Any:
    """Make an empty layer of points that lies on a grid; it is not in any viewer yet."""
    return Points(
        np.zeros((0, 3)),
        ndim=3,
        name=name,
        face_color="transparent",
        border_color=color,
        border_width=_RING,
        border_width_is_relative=True,
        projection_mode="rescale_linear",
        scale=grid.scale,
        translate=grid.translate,
        rotate=grid.rotate,
        shear=grid.shear,
        affine=grid.affine,
        units=grid.units,
        axis_labels=grid.axis_labels,
    )


def guess_radius(grid: Grid, *, apart: float | None) -> float:
    """Guess a cell's radius, in the unit of the grid's scale; ``apart``: from click to click, None: not known."""
    if apart is not None:
        return _ROOM * apart
    return float(_GUESS * max(np.abs(grid.scale[1:]) * grid.shape[1:]))


def show_size(layer: Any, grid: Grid, *, radius: float) -> None:
    """Make the rings fit cells of a radius, in the unit of the grid's scale."""
    size = max(2.0, 2 * _MARK * radius / abs(float(grid.scale[-1])))
    layer.selected_data = {row for row in layer.selected_data if row < len(layer.data)}  # those get the size, too
    layer.current_size = size
    if len(layer.data):
        layer.size = size


def show_current(layer: Any, row: int | None) -> None:
    """Let one of the points stand out; None: none."""
    if len(layer.data):
        colors = np.array([PROPOSED] * len(layer.data), dtype=object)
        if row is not None:
            colors[row] = CURRENT
        layer.border_color = colors.tolist()
