"""The nouns of the project: plain frozen dataclasses over arrays.

Axis order is always Z, Y, X. Lengths are voxels where a name says ``vox`` or nothing, and the unit of the volume's
spacing where it says so. The centre of voxel i lies at coordinate i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import index as as_index
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Spacing: TypeAlias = tuple[float, float, float]
SliceIndex: TypeAlias = tuple[int, int]
"""(axis, index): axis 0 is z (an xy plane), 1 is y, 2 is x."""
Region: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""((z0, z1), (y0, y1), (x0, x1)), voxels, half-open."""
NOWHERE: Region = ((0, 0), (0, 0), (0, 0))
"""No voxel."""
IntLabels: TypeAlias = NDArray[np.int32]

AXES = "zyx"
RELATIVE = "relative"
"""The unit of a spacing of which only the ratios are known."""


@dataclass(frozen=True)
class Volume:
    """An image volume.

    Lists and whole numbers of a spacing become a tuple of floats; what is none stays, and is refused where it is used.

    Attributes
    ----------
    data
        (C, Z, Y, X), any numeric dtype: numpy, dask or zarr.
    spacing
        Size of a voxel (z, y, x), in ``unit``; positive.
    unit
        "um", or "relative" where only ratios are known.
    name
        For messages; never an identity.
    """

    data: Any
    spacing: Spacing = (1.0, 1.0, 1.0)
    unit: str = RELATIVE
    name: str = "volume"

    def __post_init__(self) -> None:
        with suppress(TypeError, ValueError):
            object.__setattr__(self, "spacing", tuple(float(size) for size in self.spacing))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""
        z, y, x = self.data.shape[1:]
        return int(z), int(y), int(x)

    @property
    def n_channels(self) -> int:
        """Number of channels, C."""
        return int(self.data.shape[0])


@dataclass(frozen=True)
class PaintClass:
    """A row of the table of painted classes.

    Attributes
    ----------
    value
        The label value, >= 1; 0 for a background that is never painted: the unpainted voxels of complete slices.
    color
        "#rrggbb".
    background
        Whether it is the background, of which there are no objects.
    """

    value: int
    name: str
    color: str = "#808080"
    background: bool = False


@dataclass(frozen=True)
class Slices:
    """A few painted slices.

    Lists of slices become tuples of whole numbers; what is none stays, and is refused where it is used.

    Attributes
    ----------
    labels
        (Z, Y, X) int32; 0 is unpainted, other values are classes or object ids.
    paint
        What the values are: "classes", or "objects" (ids).
    annotated
        The slices that are complete: there, unpainted voxels are background. Unpainted voxels of other slices are
        unlabelled, never background.
    classes
        The table of classes; empty for objects.
    """

    labels: IntLabels
    paint: Literal["classes", "objects"] = "classes"
    annotated: tuple[SliceIndex, ...] = ()
    classes: tuple[PaintClass, ...] = ()

    def __post_init__(self) -> None:
        with suppress(TypeError, ValueError):
            slices = tuple((as_index(axis), as_index(index)) for axis, index in self.annotated)
            object.__setattr__(self, "annotated", slices)


@dataclass(frozen=True)
class Centroids:
    """One click per object: points_vox (N, 3) float, zyx, voxels, voxel centres at integers.

    Lists and whole numbers become float64.
    """

    points_vox: NDArray[np.float64]

    def __post_init__(self) -> None:
        points = np.asarray(self.points_vox, np.float64)
        object.__setattr__(self, "points_vox", points if points.size else points.reshape(0, 3))


def nearest_voxels(points_vox: NDArray[Any], *, shape: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Give the voxel that holds each point (..., 3); in a ``shape`` (Z, Y, X), the nearest inside, for points outside.

    The voxel at 3 goes from 2.5 to below 3.5. (Rounding half to even would make some voxels wider than others.)
    """
    voxels = np.floor(np.asarray(points_vox) + 0.5).astype(np.int64)
    return voxels if shape is None else np.clip(voxels, 0, np.array(shape) - 1)


@dataclass(frozen=True)
class Boxes:
    """3D boxes of all objects, with masks for a few; lists become arrays.

    Attributes
    ----------
    corners
        (N, 2, 3) int, zyx, voxels, half-open: [min, max).
    classes
        (N,) int, >= 1.
    masks
        (Z, Y, X) int32 of ids (row number + 1), or None.
    has_mask
        (N,) bool: which rows have a mask.
    """

    corners: NDArray[np.int64]
    classes: NDArray[np.int64]
    masks: IntLabels | None
    has_mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name in ("corners", "classes", "has_mask"):
            with suppress(ValueError):  # rows of different lengths are refused where they are used
                object.__setattr__(self, name, np.asarray(getattr(self, name)))


Annotation: TypeAlias = Slices | Centroids | Boxes


@dataclass(frozen=True)
class Sample:
    """A volume with one annotation; ``region``: where the annotation is complete (None: everywhere)."""

    volume: Volume
    annotation: Annotation
    region: Region | None = None


@dataclass(frozen=True)
class Preview:
    """A slice as the model sees it now: which one, and its labels (2D int32).

    ``boxes``: (N, 2, 3) int, half-open voxels of the volume, of the objects around the slice that were seen whole; None
    for methods that find none.
    """

    slice: SliceIndex
    labels: IntLabels
    sample: int = 0
    boxes: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``step`` of ``total``, metrics by name, seconds left (None: not known yet)."""

    step: int
    total: int
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None
    preview: Preview | None = None


@dataclass(frozen=True)
class Proposals:
    """Points that may be cells: points_vox (N, 3) float, zyx, voxels; scores (N,) in 0..1, 1: sure; a cell's radius.

    The radius is that of a typical cell, in the unit of the volume's spacing.
    """

    points_vox: NDArray[np.float64]
    scores: NDArray[np.float64]
    radius: float


@dataclass(frozen=True)
class ObjectRow:
    """One object of a prediction: id, class value, score 0..1, centre (zyx, voxels), half-open box (lo, hi)."""

    id: int
    class_value: int
    score: float
    centre_vox: tuple[float, float, float]
    box: tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class Prediction:
    """What a model says of a volume.

    Attributes
    ----------
    labels
        (Z, Y, X) int32: instance ids, 0 is background.
    classes
        (Z, Y, X) int32 class values, or None where the method knows no classes.
    objects
        A row per object.
    uncertainty
        (Z, Y, X) float32 in 0..1 (0: sure), or None.
    images
        Further images by name, each (Z, Y, X).
    probabilities
        (K, Z, Y, X) float16 in 0..1, all that post-processing needs to move a threshold without a new run; the sums
        over K are 1 up to rounding where K > 1. With ``classes``: K classes, background first, the others by ascending
        value (as in the model's class table); ``classes`` is the first of the largest, and painted voxels are 1 for
        their class. Without: K = 1, the probability that there is an object, on a scale where ``labels`` was cut at
        0.5: no object lies below it, and what lies above may still have been too small or too flat. None where a
        method gives none.
    notes
        What the user should know of how it was made, a sentence each without its end.
    least_score
        The score that an object needed; None where the method asks for none.
    """

    labels: IntLabels
    classes: IntLabels | None = None
    objects: tuple[ObjectRow, ...] = ()
    uncertainty: NDArray[np.float32] | None = None
    images: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    probabilities: NDArray[np.float16] | None = None
    notes: tuple[str, ...] = ()
    least_score: float | None = None
