"""The settings of the boxes method: the one place where its defaults live."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field, model_validator

from napari_weak3d.config import Preset, TrainConfig, fill_in_preset


class BoxLoss(StrEnum):
    """How the many anchors without an object are kept from drowning the few with one."""

    FOCAL = "focal"
    BALANCED = "balanced"
    PAPER = "paper"


class ObjectsFrom(StrEnum):
    """What says where objects are."""

    AUTO = "auto"
    BOXES = "boxes"
    VOXELS = "voxels"


PRESETS: Mapping[Preset, Mapping[str, Any]] = MappingProxyType(
    {
        Preset.PAPER: MappingProxyType(
            {
                "stem": 1,
                "anchor_sizes": 4,
                "ignored_iou": 0.4,
                "least_anchors": 1,
                "kept_share": 0.0,
                "box_loss": BoxLoss.PAPER,
                "deep_masks": False,
                "voxel_maps": False,
                "complete_masks": False,
            }
        ),
    }
)
"""What each preset sets otherwise than the defaults: for the paper, what its text fixes (Zhao et al. 2018)."""


class BoxesConfig(TrainConfig):
    """Settings of training from boxes and a few masks, and of segmenting with what was learned.

    A preset brings defaults of its own (``PRESETS``); whatever else is said wins.
    """

    SEGMENTING: ClassVar[tuple[str, ...]] = (
        "device",
        "use_boxes",
        "objects_from",
        "score_threshold",
        "suppress_iou",
        "mask_threshold",
        "smallest_object",
        "tile",
    )

    preset: Preset = Field(
        Preset.DEFAULT,
        title="Preset",
        description="default: what measured best; paper: the rules of Zhao et al. 2018, as far as its text fixes them, "
        "unless said otherwise.",
    )
    width: int = Field(
        16, ge=4, le=128, multiple_of=4, title="Width", description="Channels of the first level of the network."
    )
    levels: int = Field(4, ge=2, le=6, title="Levels", description="Resolution steps of the network.")
    stem: int = Field(
        4,
        ge=1,
        le=4,
        title="Stem",
        description="Largest stride of the first convolution (voxels): along axes along which objects have voxels to "
        "spare, it is as large as they allow.",
    )
    patch: int = Field(
        0,
        ge=0,
        le=512,
        multiple_of=8,
        title="Patch",
        description="Side of a training patch (voxels of the finest axis; the same length along the others). 0: a few "
        "typical objects long.",
    )
    pixels: int = Field(
        32_768,
        ge=1024,
        le=10**8,
        title="Voxels per step",
        description="Voxels in a batch, behind the first convolution: as many patches as fit, at least one.",
    )
    learning_rate: float = Field(
        5e-3, gt=0, le=1, title="Learning rate", description="At its highest, after a warm-up."
    )
    held_out: float = Field(
        0.2,
        ge=0,
        le=0.5,
        title="Held out",
        description="Part of the boxes that finds the score threshold before it is learned from too.",
    )
    anchor_sizes: int = Field(
        0,
        ge=0,
        le=16,
        title="Anchor sizes",
        description="Sizes of anchors, chosen by the boxes that were drawn. 0: as many as it takes to fit them.",
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
    deep_masks: bool = Field(
        True,
        title="Deep masks",
        description="Masks are told in more steps, and by where in the box a point lies; off: as in the paper.",
    )
    voxel_maps: bool = Field(
        True,
        title="Voxel maps",
        description="Learn too what every voxel is, where boxes and masks tell it: outside of all boxes is background; "
        "off: as in the paper.",
    )
    complete_masks: bool = Field(
        True,
        title="Complete masks",
        description="Objects with only a box are learned with the masks that the network finds in their boxes, once it "
        "knows something; off: as in the paper.",
    )
    objects_from: ObjectsFrom = Field(
        ObjectsFrom.AUTO,
        title="Objects from",
        description="What says where objects are: boxes told from anchors, or components of the voxel maps; auto: what "
        "found held-out boxes better.",
    )
    rois: int = Field(
        8, ge=1, le=1024, title="RoIs per step", description="Boxes whose masks are learned in a step, at most."
    )
    use_boxes: bool = Field(
        True,
        title="Use the boxes",
        description="The boxes in a volume that is segmented, those of now in a project, else those of the training, "
        "are its objects.",
    )
    score_threshold: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Score threshold",
        description="Least score of an object; 0: as held-out boxes decided.",
    )
    suppress_iou: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Suppress IoU",
        description="Of boxes that overlap by more than this only the best stays; 0: as the drawn boxes overlap.",
    )
    mask_threshold: float = Field(
        0.5, gt=0, lt=1, title="Mask threshold", description="Least probability of a voxel of an object."
    )
    smallest_object: int = Field(
        0, ge=0, le=10**9, title="Smallest object", description="Objects with fewer voxels are left out (voxels)."
    )
    tile: int = Field(
        96,
        ge=32,
        le=4096,
        multiple_of=16,
        title="Tile",
        description="Least side of a tile when segmenting (voxels of the finest axis behind the first convolution); "
        "longer where objects are.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, settings: Any) -> Any:
        """Put the preset's own defaults where nothing is said."""
        return fill_in_preset(settings, PRESETS)
