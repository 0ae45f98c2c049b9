"""What a slices model tells apart, in which frame, and what held-out slices taught about it: all but the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from napari_weak3d.methods.slices.instances import InstanceSettings
from napari_weak3d.methods.slices.targets import OBJECT_CLASSES
from napari_weak3d.nn.intensity import Greys
from napari_weak3d.types import PaintClass, Region, Slices, Spacing


@dataclass(frozen=True)
class Scheme:
    """The frame of a model.

    Attributes
    ----------
    paint
        What was painted.
    classes
        The table of painted classes, background first; empty for objects.
    stack_axis
        The axis along which planes are stacked; it comes first inside the method.
    channels
        Channels of the images.
    spacing, unit
        Of the first training volume.
    """

    paint: Literal["classes", "objects"]
    classes: tuple[PaintClass, ...]
    stack_axis: int
    channels: int
    spacing: Spacing
    unit: str

    @property
    def n_classes(self) -> int:
        """Classes that the network tells apart."""
        return len(self.classes) if self.paint == "classes" else len(OBJECT_CLASSES)

    @property
    def n_maps(self) -> int:
        """Further maps that the network gives: the core, for objects."""
        return 0 if self.paint == "classes" else 1

    def stacked(self, spacing: Spacing) -> Spacing:
        """Reorder a spacing (z, y, x): the stack axis first."""
        rest = [along for axis, along in enumerate(spacing) if axis != self.stack_axis]
        return spacing[self.stack_axis], rest[0], rest[1]


@dataclass(frozen=True)
class KnownPaint:
    """The paint of a training volume, where it is complete, and what tells that volume from others.

    Attributes
    ----------
    identity
        As ``storage.identify`` gives it.
    slices, region
        As in the sample.
    greys
        Low, middle and high grey value of each channel; empty in models of early versions.
    """

    identity: str
    slices: Slices
    region: Region | None = None
    greys: tuple[Greys, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """What held-out slices decided.

    Attributes
    ----------
    biases
        Added to the log-probability of each class.
    paint_weight
        How far neighbouring paint is trusted.
    instances
        How maps are turned into objects; used for objects only.
    held_out_iou
        Mean IoU of the classes but background on slices that were held out; None where none could be.
    """

    biases: tuple[float, ...]
    paint_weight: float
    instances: InstanceSettings = field(default_factory=InstanceSettings)
    held_out_iou: float | None = None
