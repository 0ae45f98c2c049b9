"""What a boxes model knows beside its weights: its frame, what was drawn, what held-out boxes decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.boxes.anchors import AnchorLayer
from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.config import ObjectsFrom
from napari_weak3d.nn.intensity import Greys
from napari_weak3d.types import Boxes, PaintClass, Region, Spacing

Triple = tuple[int, int, int]
Extent = tuple[float, float, float]

_VOXELS_ACROSS = 7
"""Features along a typical object that are enough to tell where it ends and what it looks like (ours)."""
_LARGE_PERCENTILE = 98
"""Of the sizes of boxes: what is larger is an exception that need not decide how large tiles are (ours)."""
_OVERLAP_PERCENTILE = 98
_OVERLAP_MARGIN = 0.05
_LEAST_SUPPRESS, _MOST_SUPPRESS = 0.25, 0.6
"""Bounds of the IoU at which boxes suppress each other (ours)."""
_COLOURS = ("#ff8c00", "#1e90ff", "#32cd32", "#ff69b4", "#9370db", "#ffd700", "#00ced1", "#dc143c")


@dataclass(frozen=True)
class Scheme:
    """The frame of a model.

    Attributes
    ----------
    channels
        Channels of the images.
    spacing, unit
        Of the first training volume.
    classes
        The background, then what boxes are of; a network's class k is the k-th of them.
    stem
        Stride (z, y, x) of the network's first convolution.
    anchors
        The layers that tell boxes.
    typical, largest
        Sizes (z, y, x) of a typical box and of the larger ones, voxels.
    suppress_iou
        Nearly all boxes that were drawn overlap others of their class by less than this; 0.25 to 0.6.
    """

    channels: int
    spacing: Spacing
    unit: str
    classes: tuple[PaintClass, ...]
    stem: Triple
    anchors: tuple[AnchorLayer, ...]
    typical: Extent
    largest: Extent
    suppress_iou: float

    @property
    def grain(self) -> Spacing:
        """Size of a voxel (z, y, x) in typical objects; see :func:`measure_grain`."""
        return measure_grain(self.typical)

    @property
    def class_values(self) -> NDArray[np.int32]:
        """(c,) the value of each of the network's classes; 0 for the background."""
        return np.array([each.value for each in self.classes], np.int32)


USUAL_SCORE = 0.4
"""Least score of an object as long as nothing is known (ours)."""


@dataclass(frozen=True)
class Calibration:
    """What held-out boxes decided.

    Attributes
    ----------
    score_threshold
        Least score of an object.
    held_out_f1
        Detection F1 (box IoU above 0.4) on boxes that were held out; None where there were none.
    rule
        What makes objects of voxel maps; None where these are not learned.
    from_voxels
        Whether voxel maps found boxes better than anchors did.
    splits
        Whether anchors are good enough to split the components of voxel maps.
    """

    score_threshold: float
    held_out_f1: float | None = None
    rule: Rule | None = None
    from_voxels: bool = False
    splits: bool = False

    def pick_rule(self, objects_from: ObjectsFrom) -> Rule | None:
        """Give the rule that objects are made by; None: they are told from anchors."""
        wanted = self.from_voxels if objects_from is ObjectsFrom.AUTO else objects_from is ObjectsFrom.VOXELS
        return self.rule if wanted else None

    def pick_threshold(self, objects_from: ObjectsFrom) -> float:
        """Give the least score of an object."""
        rule = self.pick_rule(objects_from)
        return self.score_threshold if rule is None else rule.inside

    def pick_witness(self, objects_from: ObjectsFrom) -> Rule | None:
        """Give the rule of the components that bear witness of faint boxes; None: objects are told from them alone."""
        return self.rule if self.pick_rule(objects_from) is None else None


@dataclass(frozen=True, eq=False)
class KnownBoxes:
    """The boxes of a training volume, where they are complete, and what tells that volume from others.

    Attributes
    ----------
    identity
        As ``nn.checkpoint.identify`` gives it.
    boxes
        As they were drawn, with their masks.
    region
        As in the sample.
    greys
        Low, middle and high grey value of each channel.
    """

    identity: str
    boxes: Boxes
    region: Region | None = None
    greys: tuple[Greys, ...] = ()


def measure_drawn(annotations: Sequence[Boxes]) -> tuple[Extent, Extent]:
    """Give the sizes (z, y, x), voxels, of a typical box and of the larger ones; at least one box in all."""
    sizes = np.concatenate([boxes.corners[:, 1] - boxes.corners[:, 0] for boxes in annotations])
    return _as_extent(np.median(sizes, axis=0)), _as_extent(np.percentile(sizes, _LARGE_PERCENTILE, axis=0))


def measure_grain(typical: Extent) -> Spacing:
    """Give the size of a voxel (z, y, x) as a part of a typical object, by which a network is planned (ours).

    Where objects are as long along every axis this is the spacing, but for its unit. It holds too where the spacing is
    not known, and where objects are flat: levels then see as far over an object along all axes.
    """
    z, y, x = typical
    return 1 / z, 1 / y, 1 / x


def _as_extent(sizes: NDArray[np.float64]) -> Extent:
    z, y, x = (float(size) for size in sizes)
    return z, y, x


def choose_stem(typical: Extent, *, most: int) -> Triple:
    """Lower the resolution along axes along which a typical box has voxels to spare, by at most so much."""
    z, y, x = (int(np.clip(side // _VOXELS_ACROSS, 1, most)) for side in typical)
    return z, y, x


def choose_suppression(annotations: Sequence[Boxes]) -> float:
    """Choose above which IoU two boxes are of one object: a little more than drawn boxes overlap each other."""
    closest = [found for boxes in annotations for found in _overlap_most(boxes)]
    usual = float(np.percentile(closest, _OVERLAP_PERCENTILE)) if closest else 0.0
    return float(np.clip(usual + _OVERLAP_MARGIN, _LEAST_SUPPRESS, _MOST_SUPPRESS))


def _overlap_most(boxes: Boxes) -> list[float]:
    """The largest IoU of each box with another one of its class."""
    low, high = boxes.corners[:, 0].astype(np.float64), boxes.corners[:, 1].astype(np.float64)
    volumes = (high - low).prod(axis=1)
    found = []
    for row in range(len(volumes)):
        shared = (np.minimum(high, high[row]) - np.maximum(low, low[row])).clip(0).prod(axis=1)
        iou = shared / (volumes + volumes[row] - shared)
        iou[(boxes.classes != boxes.classes[row]) | (np.arange(len(volumes)) == row)] = 0
        found.append(float(iou.max()))
    return found


def make_classes(annotations: Sequence[Boxes]) -> tuple[PaintClass, ...]:
    """Make the table of classes: the background, and the values that were drawn."""
    values = np.unique(np.concatenate([boxes.classes for boxes in annotations])).tolist()
    named = [
        PaintClass(int(value), f"class {value}", _COLOURS[number % len(_COLOURS)])
        for number, value in enumerate(values)
    ]
    return (PaintClass(0, "background", "#000000", background=True), *named)
