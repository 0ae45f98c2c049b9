"""What of an annotation is not painted, for each kind: the part that ``index.json`` holds as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from napari_weak3d.types import Boxes, Centroids, IntLabels, PaintClass, Region, SliceIndex, Slices

Kind: TypeAlias = Literal["slices", "centroids", "boxes"]
"""Of an annotation; an image may have one of each."""
KINDS: tuple[Kind, ...] = get_args(Kind)


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


AnnotationState: TypeAlias = SlicesState | CentroidsState | BoxesState
"""What these have in common: ``region``, ``effort_s``, ``is_empty`` and ``put_together``."""


def fill(planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> IntLabels:
    """Put painted planes (Y, X) by z into a volume of zeros (Z, Y, X)."""
    labels = np.zeros(shape, np.int32)
    for z, plane in planes.items():
        labels[z] = plane
    return labels
