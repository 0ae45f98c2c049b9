"""What of an annotation is not painted, for each kind: the part that ``index.json`` holds as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from napari_weak3d.types import Centroids, IntLabels, PaintClass, Region, SliceIndex, Slices

Kind: TypeAlias = Literal["slices", "centroids"]
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
    region, effort_s
        As in :class:`SlicesState`.
    """

    points_vox: tuple[tuple[float, float, float], ...] = ()
    region: Region | None = None
    effort_s: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is no click and no region."""
        return not self.points_vox and self.region is None

    def put_together(self, planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> Centroids:
        """Make the centroids."""
        del planes, shape
        return Centroids(np.array(self.points_vox, dtype=np.float64).reshape(-1, 3))


AnnotationState: TypeAlias = SlicesState | CentroidsState
"""What these have in common: ``region``, ``effort_s``, ``is_empty`` and ``put_together``."""


def fill(planes: Mapping[int, IntLabels], *, shape: tuple[int, int, int]) -> IntLabels:
    """Put painted planes (Y, X) by z into a volume of zeros (Z, Y, X)."""
    labels = np.zeros(shape, np.int32)
    for z, plane in planes.items():
        labels[z] = plane
    return labels
