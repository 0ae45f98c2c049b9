"""How labels are made from probabilities: what the sliders of the results say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from napari_weak3d.errors import ConfigError

Holes: TypeAlias = Literal["keep", "closed", "planes"]

STEPS = 100
"""Thresholds are told apart in hundredths: finer than anybody sees, and a byte a voxel."""
HALF = STEPS // 2
"""The step at which every prediction was decided."""


@dataclass(frozen=True)
class Retouch:
    """How labels are made from probabilities.

    Attributes
    ----------
    threshold
        0.01 to 0.99, in hundredths: what is more probable than this is object. 0.5 is the prediction's own decision.
    smallest
        Objects with fewer voxels are left out; >= 0.
    fill_holes
        "keep": none. "closed": those that an object encloses on all sides. "planes": those that it encloses in their z
        plane; a superset, which also fills tunnels along z, cavities that the end of the stack cuts open, and the
        meshes of a net that lies in the plane.
    least_score
        Objects whose score is lower are left out; 0 to 1.

    Raises
    ------
    ConfigError
        A value is out of its bounds.
    """

    threshold: float = 0.5
    smallest: int = 0
    fill_holes: Holes = "keep"
    least_score: float = 0.0

    def __post_init__(self) -> None:
        if not 1 / STEPS <= self.threshold <= 1 - 1 / STEPS:  # NaN is refused, too
            raise ConfigError(
                f"threshold = {self.threshold}: give a number from 0.01 to 0.99",
                where="threshold",
                value=self.threshold,
            )
        if self.smallest < 0:
            raise ConfigError(
                f"smallest = {self.smallest}: give a number of voxels, 0 or more", where="smallest", value=self.smallest
            )
        if self.fill_holes not in get_args(Holes):
            raise ConfigError(
                f"fill_holes = {self.fill_holes!r}: give one of {', '.join(get_args(Holes))}",
                where="fill_holes",
                value=self.fill_holes,
            )
        if not 0 <= self.least_score <= 1:
            raise ConfigError(
                f"least_score = {self.least_score}: give a number from 0 to 1",
                where="least_score",
                value=self.least_score,
            )
