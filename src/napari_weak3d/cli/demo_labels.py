"""What the demo annotates for each kind of method, written as files, and how that looks in a slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_weak3d import samples
from napari_weak3d.io.annotations import write_boxes, write_centroids, write_slices
from napari_weak3d.samples import SyntheticSample
from napari_weak3d.types import Annotation, Boxes, Centroids, IntLabels, SliceIndex, nearest_voxels

SLICES_PER_AXIS = (3, 0, 0)
MASKED = 0.2
"""Part of the boxes that get a mask."""
SEED = 0
LABEL_FILES = ("paint.tif", "paint.json", "clicks.csv", "boxes.csv", "boxes-masks.tif")
"""All that some method's annotation is written to."""
_ARM = 2
"""Pixels of a click's cross to each side, and slices to each side in which it is drawn."""


@dataclass(frozen=True)
class WeakLabels:
    """An annotation of the demo.

    Attributes
    ----------
    files
        Names of what was written.
    plane, look
        A z slice, and what it shows of the annotation: (Y, X) ids.
    unseen
        A z slice of which the annotation says least.
    complete
        Slices that are no test of anything.
    """

    annotation: Annotation
    files: tuple[str, ...]
    plane: int
    look: IntLabels
    unseen: int
    complete: tuple[SliceIndex, ...] = ()


def weaken(sample: SyntheticSample, *, noun: str, out: Path) -> WeakLabels:
    """Annotate a sample as a method of this noun ("Slices", "Centroids", "Boxes") learns from it, and write it."""
    return _WEAKEN[noun](sample, out)


def _paint(sample: SyntheticSample, out: Path) -> WeakLabels:
    slices = samples.paint_slices(sample.labels, slices_per_axis=SLICES_PER_AXIS, paint="objects")
    write_slices(out / "paint.tif", slices, spacing=sample.volume.spacing, unit=sample.volume.unit)
    painted = [index for axis, index in slices.annotated if axis == 0]
    unseen = _farthest_from(painted, n=len(slices.labels))
    return WeakLabels(slices, ("paint.tif",), painted[0], slices.labels[painted[0]], unseen, slices.annotated)


def _click(sample: SyntheticSample, out: Path) -> WeakLabels:
    clicks = samples.click_centroids(sample.labels, rng=np.random.default_rng(SEED))
    write_centroids(out / "clicks.csv", clicks)
    middle = len(sample.labels) // 2
    return WeakLabels(clicks, ("clicks.csv",), middle, _draw_clicks(clicks, middle, sample.labels[middle]), middle)


def _box(sample: SyntheticSample, out: Path) -> WeakLabels:
    boxes = samples.draw_boxes(sample.labels, rng=np.random.default_rng(SEED), fraction=MASKED)
    files = ("boxes.csv", "boxes-masks.tif")
    spacing, unit = sample.volume.spacing, sample.volume.unit
    write_boxes(out / files[0], boxes, masks=out / files[1], spacing=spacing, unit=unit)
    middle = len(sample.labels) // 2
    return WeakLabels(boxes, files, middle, _draw_boxes(boxes, middle), middle)


_WEAKEN: Mapping[str, Callable[[SyntheticSample, Path], WeakLabels]] = {
    "Slices": _paint,
    "Centroids": _click,
    "Boxes": _box,
}


def _draw_clicks(clicks: Centroids, plane: int, like: IntLabels) -> IntLabels:
    """Crosses at the clicks near a slice; each keeps its number in neighbouring slices, and so its colour."""
    look = np.zeros_like(like)
    for number, (z, y, x) in enumerate(nearest_voxels(clicks.points_vox).tolist(), start=1):
        if abs(z - plane) <= _ARM:
            look[max(0, y - _ARM) : y + _ARM + 1, x] = number
            look[y, max(0, x - _ARM) : x + _ARM + 1] = number
    return look


def _draw_boxes(boxes: Boxes, plane: int) -> IntLabels:
    """Outlines of the boxes that cross a slice, and the masks in it."""
    assert boxes.masks is not None
    look: IntLabels = boxes.masks[plane].copy()
    for number, ((z0, y0, x0), (z1, y1, x1)) in enumerate(boxes.corners.tolist(), start=1):
        if z0 <= plane < z1:
            look[y0:y1, [x0, x1 - 1]] = number
            look[[y0, y1 - 1], x0:x1] = number
    return look


def _farthest_from(painted: list[int], *, n: int) -> int:
    """The slice inside the painted ones that is farthest from any of them: the hardest to guess."""
    inside = range(min(painted), max(painted) + 1) if len(painted) > 1 else range(n)
    return max(inside, key=lambda index: min(abs(index - other) for other in painted))
