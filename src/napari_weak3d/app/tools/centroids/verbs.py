"""What buttons and keys do to clicks: remove, centre, take from elsewhere, set the box. Functions on the work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.centroids import regions, taking
from napari_weak3d.app.tools.centroids.clicks import region_around
from napari_weak3d.app.tools.centroids.snapping import snap
from napari_weak3d.app.tools.centroids.work import ClickWork
from napari_weak3d.types import Region


def remove(work: ClickWork) -> None:
    """Remove the click under the mouse, or the nearest one in view."""
    found = work.row_at_mouse()
    if found is not None:
        work.session.step(f"remove cell {found[0] + 1}", work.clicks.without([found[0]]))


def centre(work: ClickWork) -> None:
    """Move the click under the mouse to the middle of its cell, along the axis across the slice, and go there."""
    found = work.row_at_mouse()
    if found is None:
        return
    row, axis = found
    points = work.clicks.points.copy()
    middle = snap(
        points[row],
        axis=axis,
        shape=work.session.shape,
        spacing=work.session.spacing,
        radius=work.radius,
        read=lambda region: work.tools.read(work.image_layer, region),
    )
    if middle is None:
        work.say("No middle of a cell stands out here: the click stays where it is")
        return
    points[row, axis] = middle
    work.session.step(f"centre cell {row + 1}", replace(work.clicks, points=points))
    work.layers.go_to((axis, round(middle)), work.image_layer)


def take(work: ClickWork, points: NDArray[np.float64], *, name: str) -> None:
    """Click where there are points (N, 3), in voxels, already; those that cannot be clicks are told of."""
    taken, text = taking.sift(work.clicks, points, shape=work.session.shape, name=name)
    work.session.step(f"take {name}", replace(work.clicks, points=np.concatenate([work.clicks.points, taken])))
    work.say(text)


def set_region(work: ClickWork, region: Region | None, *, name: str = "set the box") -> None:
    """Say in which box all cells are clicked; None: everywhere."""
    work.session.step(name, replace(work.clicks, region=region))


def choose_region(work: ClickWork, how: str) -> None:
    """Set the box: "everywhere", "around" the clicks, to what is in "view", from or up to this slice; or draw it."""
    work.bring_back()
    shape, region = work.session.shape, work.clicks.region
    if how == "everywhere":
        set_region(work, None, name="no box")
        return
    if how == "around":
        around = region_around(work.clicks.points, shape=shape, spacing=work.session.spacing, margin=work.radius)
        set_region(work, around)
        return
    shown = work.shown()
    if shown is None:
        return
    if how == "draw":
        work.layers.activate(work.box.layer)
        work.box.draw()
    elif how == "view":
        set_region(work, regions.set_view(region, shown[0], work.view.in_sight(work.image_layer), shape=shape))
    else:
        set_region(work, regions.set_side(region, how, shown, shape=shape))


def take_drawn(work: ClickWork, axis: int, spans: Any) -> None:
    """Take what was drawn in a slice across an axis as the box."""
    work.layers.activate(work.session.layer)
    if not work.refuses():
        region = regions.set_plane(work.clicks.region, axis, spans, shape=work.session.shape)
        set_region(work, region, name="draw the box")
