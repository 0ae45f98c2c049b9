"""What of an annotation is not painted, for each kind: the part that ``index.json`` holds as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from napari_weak3d.types import Boxes, Centroids, IntLabels, PaintClass, Region, SliceIndex, Slices

Kind: TypeAlias = Literal["slices", "centroids", "boxes", "corrected"]
"""Of what is kept plane by plane: annotations, of which an image may have one of each, and corrections of a result."""
KINDS: tuple[Kind, ...] = ("slices", "centroids", "boxes")
"""Of annotations: what is learned from."""


@dataclass(frozen=True)
class SlicesState:
    """All of painted slices but the paint.

    Attributes
    ----------
    paint, annotated, classes
        As in :class:`~napari_weak3d.types.Slices`.
    region
        Where the annotation is complete; None: everywhere.
    effort_s
        Time spent annotating, in seconds.
    """

    paint: Literal["classes", "objects"] = "classes"
    annotated: tuple[SliceIndex, ...] = ()
    classes: tuple[PaintClass, ...] = ()
    region: Region | None = None
    effort_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether no slice is complete."""
        return not self.annotated

    def put_together(self, planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> Slices:
        """Make the slices."""
        return Slices(fill(planes, shape=shape), paint=self.paint, annotated=self.annotated, classes=self.classes)


@dataclass(frozen=True)
class CentroidsState:
    """Clicks; nothing of them is painted.

    Attributes
    ----------
    points_vox
        z, y, x of each, in voxels, voxel centres at integers.
    refused_vox
        Points that were proposed and are no cells.
    region, effort_s
        As in :class:`SlicesState`.
    """

    points_vox: tuple[tuple[float, float, float], ...] = ()
    refused_vox: tuple[tuple[float, float, float], ...] = ()
    region: Region | None = None
    effort_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is no click and no region."""
        return not self.points_vox and not self.refused_vox and self.region is None

    def put_together(self, planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> Centroids:
        """Make the centroids."""
        del planes, shape
        return Centroids(np.array(self.points_vox, dtype=np.float64).reshape(-1, 3))


@dataclass(frozen=True)
class BoxEntry:
    """A box: its id, which is also the value of its mask's voxels, half-open corners (low, high) zyx, and its class.

    ``done``: whether its mask is complete.
    """

    id: int
    corners: tuple[tuple[int, int, int], tuple[int, int, int]]
    class_value: int = 1
    done: bool = False


@dataclass(frozen=True)
class BoxesState:
    """All of boxes but the voxels of their masks, which are painted planes of box ids.

    Attributes
    ----------
    boxes
        In the order in which they were made.
    classes
        The table of classes.
    next_id
        Of the next box: ids are never given twice.
    region, effort_s
        As in :class:`SlicesState`.
    """

    boxes: tuple[BoxEntry, ...] = ()
    classes: tuple[PaintClass, ...] = ()
    region: Region | None = None
    next_id: int = 1
    effort_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is no box and no region."""
        return not self.boxes and self.region is None

    def put_together(self, planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> Boxes:
        """Make the boxes, with their masks numbered by row; those that are only begun are in it, too."""
        corners = np.array([box.corners for box in self.boxes], np.int64).reshape(-1, 2, 3)
        classes = np.array([box.class_value for box in self.boxes], np.int64)
        done = np.array([box.done for box in self.boxes], np.bool_)
        if not planes:
            return Boxes(corners, classes, masks=None, has_mask=np.zeros_like(done))
        numbers = np.zeros(1 + max((int(plane.max()) for plane in planes.values()), default=0), np.int32)
        for row, box in enumerate(self.boxes, start=1):
            if box.id < len(numbers):
                numbers[box.id] = row
        masks = fill({z: numbers[plane] for z, plane in planes.items()}, shape=shape)
        return Boxes(corners, classes, masks=masks, has_mask=done)


@dataclass(frozen=True)
class CorrectedState:
    """All of a corrected result but the corrections, which are painted planes: 0 is as the model says, v + 1 is v.

    Attributes
    ----------
    threshold, smallest, fill_holes, least_score
        How the result was decided when it was corrected, as in :class:`~napari_weak3d.retouch.Retouch`.
    region, effort_s
        As in :class:`SlicesState`; nothing is told of them.
    """

    threshold: float = 0.5
    smallest: int = 0
    fill_holes: Literal["keep", "closed", "planes"] = "keep"
    least_score: float = 0.0
    region: Region | None = None
    effort_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Always: without a corrected voxel nothing is worth keeping."""
        return True

    def put_together(self, planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> Slices:
        """Make slices of the corrections, to look at: they are nothing to learn from as they are."""
        return Slices(fill(planes, shape=shape), paint="objects", annotated=())


def leave_out_begun(boxes: Boxes) -> Boxes:
    """Give boxes as a training takes them: without the voxels of masks that are only begun."""
    if boxes.masks is None or not boxes.has_mask.any():
        return replace(boxes, masks=None)
    done = np.concatenate([[False], boxes.has_mask])
    return replace(boxes, masks=np.where(done[boxes.masks], boxes.masks, 0).astype(np.int32))


AnnotationState: TypeAlias = SlicesState | CentroidsState | BoxesState | CorrectedState
"""What these have in common: ``region``, ``effort_s``, ``is_empty`` and ``put_together``."""


def fill(planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> IntLabels:
    """Put painted planes (Y, X) by z into a volume of zeros (Z, Y, X)."""
    labels = np.zeros(shape, np.int32)
    for z, plane in planes.items():
        labels[z] = plane
    return labels
