"""The settings of the slices method: the one place where its defaults live."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field, model_validator

from napari_weak3d.config import TrainConfig


class Network(StrEnum):
    """Which network to train."""

    PLANAR = "planar"
    PAPER = "paper"


class Statistics(StrEnum):
    """What the paper's network normalises a tile by when it segments."""

    TILE = "tile"
    FROZEN = "frozen"


PRESETS: Mapping[Network, Mapping[str, Any]] = {Network.PAPER: {"width": 32, "members": 1}}
"""Defaults that come with a network."""


class SlicesConfig(TrainConfig):
    """Settings of training from a few painted slices, and of segmenting with what was learned.

    A network brings defaults of its own where they differ (``PRESETS``): naming it alone gives the paper's network as
    the paper has it, and whatever else is said wins.
    """

    SEGMENTING: ClassVar[tuple[str, ...]] = (
        *("device", "use_paint", "paint_weight", "smallest_object", "tile", "statistics"),
    )

    network: Network = Field(
        Network.PLANAR,
        title="Network",
        description="planar: a U-Net in the plane that sees neighbouring planes (fast); paper: the 3D U-Net of "
        "Cicek et al. 2016, unpadded, with 1 member of width 32 unless said otherwise (slow without a GPU).",
    )
    members: int = Field(
        3,
        ge=1,
        le=9,
        title="Members",
        description="Networks trained side by side, each with other painted slices held out; their mean predicts.",
    )
    width: int = Field(
        16, ge=4, le=128, multiple_of=4, title="Width", description="Channels of the first level of the network."
    )
    levels: int = Field(5, ge=2, le=7, title="Levels", description="Resolution steps of the planar network.")
    patch: int = Field(
        160,
        ge=32,
        le=1024,
        multiple_of=16,
        title="Patch",
        description="Side of a training patch (pixels in the plane).",
    )
    pixels: int = Field(
        131_072,
        ge=1024,
        le=10**8,
        title="Pixels per step",
        description="Pixels in a batch: as many patches as fit, at least one.",
    )
    learning_rate: float = Field(
        3e-3, gt=0, le=1, title="Learning rate", description="At its highest, after a warm-up."
    )
    balance: float = Field(
        0.25, ge=0, le=1, title="Class balance", description="0: every voxel counts alike; 1: every class counts alike."
    )
    scoring_share: float = Field(
        0.6,
        ge=0,
        le=0.9,
        title="Share for scoring",
        description="Part of the training in which slices are held out; after it all slices are learned from.",
    )
    use_paint: bool = Field(
        True,
        title="Use the paint",
        description="When the painted volume itself is segmented, the paint of neighbouring slices counts too.",
    )
    paint_weight: float = Field(
        0.5, ge=0, le=2, title="Weight of the paint", description="How much neighbouring paint counts beside the image."
    )
    smallest_object: int = Field(
        0, ge=0, le=10**9, title="Smallest object", description="Objects with fewer voxels are left out (voxels)."
    )
    tile: int = Field(
        512,
        ge=64,
        le=4096,
        multiple_of=16,
        title="Tile",
        description="Side of a tile when segmenting (pixels in the plane).",
    )
    statistics: Statistics = Field(
        Statistics.TILE,
        title="Statistics",
        description="What the paper's network normalises a tile by when segmenting. tile: its own, as in the "
        "paper; frozen: those of all tiles, gathered first: tiles agree where they meet, in twice the time.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, settings: Any) -> Any:
        """Put the network's own defaults where nothing is said."""
        if not isinstance(settings, Mapping):
            return settings
        presets = [preset for network, preset in PRESETS.items() if network == settings.get("network")]
        return {**(presets[0] if presets else {}), **settings}
