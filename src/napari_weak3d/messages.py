"""The commands that a running job takes through ``send``; frozen, and free of torch.

A job is a generator of Progress. Whoever pulls it sends one of these, or None, with each pull; the job acts on it
before its next step. Closing the generator abandons the job; ``Stop`` ends it early and keeps the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from napari_weak3d.types import Sample, SliceIndex


@dataclass(frozen=True)
class Stop:
    """End after the current step; the model so far is returned and saved."""


@dataclass(frozen=True)
class Pause:
    """Hold; the job answers pulls without training until Resume or Stop. Paused time is not charged to the budget."""


@dataclass(frozen=True)
class Resume:
    """Go on after Pause."""


@dataclass(frozen=True)
class PreviewSlice:
    """Show this slice of this sample as the model sees it now: the next Progress carries it as ``preview``."""

    slice: SliceIndex
    sample: int = 0


@dataclass(frozen=True)
class NewSamples:
    """The annotation as it is now, volumes unchanged and in the same order: train on with it."""

    samples: tuple[Sample, ...]


Command: TypeAlias = Stop | Pause | Resume | PreviewSlice | NewSamples
