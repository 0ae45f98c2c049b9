"""The settings of the boxes method: the one place where its defaults live."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from pydantic import Field

from napari_weak3d.config import TrainConfig


class BoxLoss(StrEnum):
    """How the many anchors without an object are kept from drowning the few with one."""

    FOCAL = "focal"
    BALANCED = "balanced"
    PAPER = "paper"


class Preset(StrEnum):
    """Settings that belong together."""

    DEFAULT = "default"
    PAPER = "paper"


PRESETS: Mapping[Preset, Mapping[str, Any]] = MappingProxyType(
    {
        Preset.DEFAULT: MappingProxyType({}),
        Preset.PAPER: MappingProxyType(
            {"stem": 1, "ignored_iou": 0.4, "least_anchors": 1, "kept_share": 0.0, "box_loss": BoxLoss.PAPER}
        ),
    }
)
"""What each preset sets otherwise than the defaults: for the paper, what its text fixes (Zhao et al. 2018)."""


class BoxesConfig(TrainConfig):
    """Settings of training from boxes and a few masks."""

    width: int = Field(
        16, ge=4, le=128, multiple_of=4, title="Width", description="Channels of the first level of the network."
    )
    levels: int = Field(4, ge=2, le=6, title="Levels", description="Resolution steps of the network.")
    stem: int = Field(
        2,
        ge=1,
        le=4,
        title="Stem",
        description="Stride in the plane of the first convolution (voxels): 2 is four times as cheap as 1.",
    )
    anchor_sizes: int = Field(
        4, ge=1, le=16, title="Anchor sizes", description="Sizes of anchors, chosen by the boxes that were drawn."
    )
    positive_iou: float = Field(
        0.4, gt=0, lt=1, title="Positive IoU", description="Anchors that overlap a true box by more than this tell it."
    )
    ignored_iou: float = Field(
        0.3,
        gt=0,
        lt=1,
        title="Ignored IoU",
        description="Anchors that overlap by this much, and are not positive, do not count.",
    )
    least_anchors: int = Field(
        4, ge=1, le=64, title="Least anchors", description="Anchors that every true box gets, however thin it is."
    )
    kept_share: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Kept share",
        description="Boxes that a patch cuts are learned if at least this share is inside, else ignored.",
    )
    box_loss: BoxLoss = Field(
        BoxLoss.FOCAL,
        title="Box loss",
        description="focal, balanced (the hardest negatives), or paper (all anchors alike).",
    )
    roi_size: int = Field(
        12,
        ge=4,
        le=48,
        title="RoI size",
        description="Points along a box that features are sampled at; masks have two per point.",
    )
    roi_jitter: float = Field(
        0.15,
        ge=0,
        lt=0.5,
        title="RoI jitter",
        description="By how much of their size true boxes are moved to learn masks in.",
    )
    roi_padding: float = Field(
        0.15, ge=0, le=1, title="RoI padding", description="By how much of its size a box is grown to find its mask in."
    )
    rois: int = Field(
        32, ge=1, le=1024, title="RoIs per step", description="Boxes whose masks are learned in a step, at most."
    )
    suppress_iou: float = Field(
        0.3,
        ge=0,
        le=1,
        title="Suppress IoU",
        description="Of boxes that overlap by more than this only the best stays.",
    )
    mask_threshold: float = Field(
        0.5, gt=0, lt=1, title="Mask threshold", description="Least probability of a voxel of an object."
    )

    @classmethod
    def from_preset(cls, preset: Preset, *, settings: Mapping[str, Any] | None = None) -> Self:
        """Make the config of a preset, with some settings changed (checked as in :meth:`from_settings`)."""
        return cls.from_settings({**PRESETS[preset], **(settings or {})})
