"""The settings of the centroids method: the one place where its defaults live."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import Field, model_validator

from napari_weak3d.config import Preset, TrainConfig, fill_in_preset


class Stain(StrEnum):
    """What of a cell is bright."""

    AUTO = "auto"
    INSIDE = "inside"
    BORDER = "border"
    NEITHER = "neither"


class PseudoLabels(StrEnum):
    """What the masks that the second network learns from are made of."""

    IMAGE = "image"
    GUIDED = "guided"
    EXCITATION = "excitation"
    BOTH = "both"


class Refinement(StrEnum):
    """Which edges of the image the refinement loss follows."""

    AUTO = "auto"
    FLUORESCENCE = "fluorescence"
    BRIGHT_FIELD = "bright-field"


class Landscape(StrEnum):
    """What parts cells that touch."""

    PATHS = "paths"
    INSIDE = "inside"
    DISTANCE = "distance"
    IMAGE = "image"


PRESETS: Mapping[Preset, Mapping[str, Any]] = MappingProxyType(
    {
        Preset.PAPER: MappingProxyType(
            {
                "pixels": 1024,
                "learning_rate": 5e-5,
                "held_out": 0.0,
                "centre_clicks": False,
                "pseudo_labels": PseudoLabels.GUIDED,
                "refinement_weight": 1.0,
                "refinement_power": 2.0,
                "refinement_sigma": 3.0,
                "landscape": Landscape.INSIDE,
                "use_clicks": False,
            }
        ),
    }
)
"""What each preset sets otherwise than the defaults, or must not change with them: for the paper, what its text fixes.

One patch at a time (``pixels``); nothing held out, so the network's peaks are never held against the clicks.
"""


class CentroidsConfig(TrainConfig):
    """Settings of training from one click per cell, and of segmenting with what was learned.

    A preset brings defaults of its own (``PRESETS``); whatever else is said wins.
    """

    SEGMENTING: ClassVar[tuple[str, ...]] = (
        "device",
        "use_clicks",
        "peak_threshold",
        "responses",
        "landscape",
        "smallest_object",
        "tile",
    )

    preset: Preset = Field(
        Preset.DEFAULT,
        title="Preset",
        description="default: what measured best; paper: the rules of BFS-Net, as far as its text fixes them, unless "
        "said otherwise.",
    )
    stain: Stain = Field(
        Stain.AUTO,
        title="Stain",
        description="What is bright: inside (nuclei), border (membranes), neither (bright field); auto: told by the "
        "image around the clicks.",
    )
    width: int = Field(
        16, ge=4, le=128, multiple_of=4, title="Width", description="Channels of the first level of the networks."
    )
    levels: int = Field(4, ge=2, le=6, title="Levels", description="Resolution steps of the networks.")
    patch: int = Field(
        64,
        ge=16,
        le=512,
        multiple_of=8,
        title="Patch",
        description="Side of a training patch (voxels of the finest axis; the same length along the others).",
    )
    pixels: int = Field(
        131_072,
        ge=1024,
        le=10**8,
        title="Voxels per step",
        description="Voxels in a batch: as many patches as fit, at least one.",
    )
    learning_rate: float = Field(
        3e-3, gt=0, le=1, title="Learning rate", description="At its highest, after a warm-up."
    )
    centre_clicks: bool = Field(
        True,
        title="Centre clicks",
        description="Clicks on bright cells are learned as if they were in the middle of what is bright around them; "
        "off: where they are, as in the paper.",
    )
    centre_share: float = Field(
        0.5,
        ge=0.05,
        le=0.95,
        title="Share for centres",
        description="Part of the training in which centres are learned; masks are learned in the rest.",
    )
    held_out: float = Field(
        0.2,
        ge=0,
        le=0.5,
        title="Held out",
        description="Part of the clicked region that finds the peak threshold before it is learned from too.",
    )
    sharpness: float = Field(
        2.0,
        gt=0,
        le=20,
        title="Sharpness",
        description="k of equation 1: how fast the centre map falls from a click to a cell's radius.",
    )
    focal_weight: float = Field(
        0.1, ge=0, le=100, title="Focal weight", description="Of the focal loss where the centre map is above 0.7."
    )
    pseudo_labels: PseudoLabels = Field(
        PseudoLabels.IMAGE,
        title="Pseudo labels",
        description="What masks are first made of: the image around the clicks, response maps of the first network "
        "(guided or excitation), or both.",
    )
    refinement: Refinement = Field(
        Refinement.AUTO,
        title="Refinement",
        description="Edges that masks are drawn to: gradients (fluorescence, equation 5) or the Laplacian (bright "
        "field, equation 4); auto: by the stain.",
    )
    refinement_weight: float = Field(
        1.0, ge=0, le=100, title="Refinement weight", description="lambda of the refinement loss; 0: none."
    )
    refinement_power: float = Field(2.0, gt=0, le=8, title="Refinement power", description="p of equations 4 and 5.")
    refinement_sigma: float = Field(
        1.5,
        gt=0,
        le=20,
        title="Refinement sigma",
        description="Blur of mask and image in the refinement loss (voxels in the plane; 3 in the paper).",
    )
    peak_threshold: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Peak threshold",
        description="Least value of the centre map at a cell's centre; 0: as held-out clicks decided.",
    )
    landscape: Landscape = Field(
        Landscape.PATHS,
        title="Landscape",
        description="What parts touching cells: the cheapest paths through the network's inside, or a flood of its "
        "inside, of the distance to the background, or of the image.",
    )
    use_clicks: bool = Field(
        True,
        title="Use the clicks",
        description="The clicks in a volume that is segmented, those of now in a project, else those of the training, "
        "are centres of its cells.",
    )
    responses: bool = Field(
        False,
        title="Response maps",
        description="Show, too, what in the image made the network see each centre, when a volume is segmented; takes "
        "a while where there are many cells.",
    )
    smallest_object: int = Field(
        0, ge=0, le=10**9, title="Smallest object", description="Objects with fewer voxels are left out (voxels)."
    )
    tile: int = Field(
        128,
        ge=32,
        le=4096,
        multiple_of=16,
        title="Tile",
        description="Side of a tile when segmenting (voxels of the finest axis).",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, settings: Any) -> Any:
        """Put the preset's own defaults where nothing is said."""
        return fill_in_preset(settings, PRESETS)
