"""A training volume with its boxes, as the learner reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.types import Boxes, IntLabels, PaintClass, Region, Sample, Spacing


@dataclass(frozen=True, eq=False)
class Annotated:
    """A volume with its boxes.

    Attributes
    ----------
    view
        The normalised image.
    boxes
        (N, 2, 3) float64, as ``geometry`` has them.
    classes
        (N,) int64: the network's classes, from 1.
    masks
        (Z, Y, X) int32 of row numbers + 1; 0 everywhere where nothing has a mask.
    has_mask
        (N,) bool.
    known
        Where boxes are complete.
    """

    view: SlabView
    spacing: Spacing
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    masks: IntLabels
    has_mask: NDArray[np.bool_]
    known: Region

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""
        z, y, x = self.masks.shape
        return z, y, x

    def lie_in(self, region: Region) -> NDArray[np.bool_]:
        """(N,) which boxes have their centre in a region."""
        return have_centres_in(self.boxes, region)


def have_centres_in(boxes: NDArray[np.float64], region: Region) -> NDArray[np.bool_]:
    """(N,) which of some boxes (N, 2, 3) have their centre in a region."""
    low, high = np.array(region, np.float64).T
    centres = boxes.mean(axis=1)
    inside: NDArray[np.bool_] = ((centres >= low) & (centres < high)).all(axis=1)
    return inside


def annotate(sample: Sample, view: SlabView, *, classes: Sequence[PaintClass]) -> Annotated:
    """Put a view and its boxes together; classes must be those of a table."""
    drawn = sample.annotation
    assert isinstance(drawn, Boxes)
    shape = sample.volume.shape
    nothing = np.broadcast_to(np.zeros((), np.int32), shape)
    numbers = {each.value: number for number, each in enumerate(classes)}
    return Annotated(
        view,
        sample.volume.spacing,
        drawn.corners.astype(np.float64),
        np.array([numbers[int(value)] for value in drawn.classes], np.int64),
        nothing if drawn.masks is None else drawn.masks,
        drawn.has_mask & (drawn.masks is not None),
        sample.region or ((0, shape[0]), (0, shape[1]), (0, shape[2])),
    )
