"""Points that are there already, in a layer, a table or a result: which of them become clicks, and what to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.grid import N_SPATIAL
from napari_weak3d.app.tools.centroids.clicks import (
    Clicks,
    Points,
    find_doubles,
    find_near,
    find_outside,
    find_outside_region,
)
from napari_weak3d.app.tools.centroids.wording import count, place
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import SliceIndex, Spacing


@dataclass(frozen=True, eq=False)
class Way:
    """A way to read a layer's points: ``title`` is the answer that chooses it, ``points`` are voxels of the image."""

    title: str
    points: Points


def read_layer(points_layer: Any, image_layer: Any, *, first: int | None = None) -> list[Way]:
    """Read the points of a layer as voxels of an image: one way, or two where the layer has another scale.

    Parameters
    ----------
    first
        Which index of a fourth axis, time or channel, counts; None: there is none.

    Raises
    ------
    AnnotationError
        The layer has too few or too many axes, or no points.
    """
    data = np.asarray(points_layer.data, dtype=np.float64)
    name = points_layer.name
    if points_layer.ndim == N_SPATIAL + 1 and first is not None:
        data = data[np.rint(data[:, 0]) == first]
    elif points_layer.ndim != N_SPATIAL:
        raise AnnotationError(
            f"layer {name!r} has points of {points_layer.ndim} axes: points of a volume have three (z, y, x)",
            where=name,
            value=points_layer.ndim,
        )
    if len(data) == 0:
        raise AnnotationError(f"layer {name!r} has no points here", where=name, value=0)
    points = data[:, -N_SPATIAL:].copy()
    shown = np.array([_through_world(each, points_layer, image_layer) for each in data])
    if np.allclose(shown, points, atol=1e-3):
        return [Way("", points)]
    return [Way("Where they are shown", shown), Way("Their numbers are voxels of the image", points)]


def scale_question(points_layer: Any, image_layer: Any) -> str:
    """Ask how the points of a layer of another scale are meant."""
    theirs, ours = (
        ", ".join(f"{each:.3g}" for each in layer.scale[-N_SPATIAL:]) for layer in (points_layer, image_layer)
    )
    if theirs == ours:
        return f"{points_layer.name} is moved or turned against {image_layer.name}. Where are its points?"
    return f"{points_layer.name} has the scale {theirs}, and {image_layer.name} {ours} (z, y, x). Where are its points?"


def sift(clicks: Clicks, points: Points, *, shape: tuple[int, int, int], name: str) -> tuple[Points, str]:
    """Leave out points that can be no clicks: gives the others, and what to tell of all."""
    known = len(clicks.points)
    outside = find_outside(np.nan_to_num(points, nan=-1e9), shape)
    inside = np.delete(points, outside, axis=0)
    doubles = [row - known for row in find_doubles(np.concatenate([clicks.points, inside])) if row >= known]
    taken = np.delete(inside, doubles, axis=0)
    parts = [f"{count(len(taken), 'point')} of {name} taken"]
    if outside:
        size = " x ".join(map(str, shape))
        lie = "lies" if len(outside) == 1 else "lie"
        parts.append(
            f"{len(outside)} {lie} outside the image, which is {size} voxels: the first is number {outside[0] + 1}, "
            f"{place(points[outside[0]])}"
        )
    if doubles:
        parts.append(f"{len(doubles)} on a voxel that has a click already, or has two of them")
    return taken, "; ".join(parts)


def find_new(
    clicks: Clicks, points: Points, *, shape: tuple[int, int, int], spacing: Spacing, within: float
) -> NDArray[np.bool_]:
    """Say of points whether they may be proposed, (N,): inside image and region, and no cell that is known.

    A point within a distance of a click, or of one that was refused, is that one; in the unit of the spacing.
    """
    allowed = np.ones(len(points), bool)
    allowed[[*find_outside(points, shape), *find_outside_region(points, clicks.region)]] = False
    known = np.concatenate([clicks.points, clicks.refused])
    return allowed & ~find_near(points, known, spacing=spacing, distance=within)


def rows_in_view(points: Points, which: SliceIndex, reach: float) -> list[int]:
    """List rows of points at most this many slices away from a slice."""
    axis, index = which
    return [int(row) for row in np.flatnonzero(np.abs(points[:, axis] - index) <= max(reach, 0.5))]


def centres_in(labels: NDArray[Any], which: SliceIndex, *, reach: float) -> Points:
    """Find the centres of the objects that a slice shows, (N, 3), of what lies within some slices of it."""
    axis, index = which
    low, high = max(0, index - round(reach)), min(labels.shape[axis], index + round(reach) + 1)
    slab = np.moveaxis(np.asarray(labels.take(range(low, high), axis=axis)), axis, 0)
    ids = np.unique(slab[index - low])
    centres = []
    for each in ids[ids > 0]:
        depth, *plane = np.argwhere(slab == each).mean(axis=0)
        centres.append(np.insert(np.array(plane), axis, depth + low))
    return np.array(centres, dtype=np.float64).reshape(-1, 3)


def _through_world(point: NDArray[np.float64], points_layer: Any, image_layer: Any) -> NDArray[np.float64]:
    """Where a point of one layer is in voxels of another, of three axes or four."""
    world = np.asarray(points_layer.data_to_world(point), dtype=np.float64)
    padded = np.concatenate([np.zeros(max(0, image_layer.ndim - len(world))), world])[-image_layer.ndim :]
    return np.asarray(image_layer.world_to_data(padded), dtype=np.float64)[-N_SPATIAL:]
