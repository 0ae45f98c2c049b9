"""The synthetic samples by name, and the one that the demo trains on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from napari_weak3d.samples.blobs import make_blobs
from napari_weak3d.samples.bright_field import make_bright_field
from napari_weak3d.samples.optics import Optics, Shape, SyntheticSample
from napari_weak3d.samples.sheets import make_sheets
from napari_weak3d.samples.tubes import make_tubes

_FLAT = (2.0, 0.5, 0.5)
"""Spacing of an ordinary confocal stack: planes four times as far apart as pixels, um."""


class Maker(Protocol):
    """Makes a sample of any size from a generator."""

    def __call__(self, rng: np.random.Generator, *, shape: Shape = ...) -> SyntheticSample:
        """Return a sample of (Z, Y, X) ``shape``."""


@dataclass(frozen=True)
class SyntheticInfo:
    """A kind of sample: its title, for a menu, and what makes it."""

    title: str
    make: Maker


SYNTHETIC: dict[str, SyntheticInfo] = {
    "separate-blobs": SyntheticInfo("Separate blobs", partial(make_blobs, name="separate-blobs")),
    "touching-blobs": SyntheticInfo(
        "Touching blobs", partial(make_blobs, fill=0.3, touching=0.8, name="touching-blobs")
    ),
    "tubes": SyntheticInfo("Tubes", make_tubes),
    "sheets": SyntheticInfo("Sheets", make_sheets),
    "anisotropic": SyntheticInfo(
        "Anisotropic", partial(make_blobs, spacing=_FLAT, fill=0.25, touching=0.7, name="anisotropic")
    ),
    "noisy": SyntheticInfo(
        "Noisy",
        partial(make_blobs, fill=0.25, touching=0.6, optics=Optics(photons=3.0, background=0.25), name="noisy"),
    ),
    "out-of-focus": SyntheticInfo(
        "Out of focus",
        partial(make_blobs, fill=0.25, touching=0.6, optics=Optics(defocus_um=1.2, haze=0.4), name="out-of-focus"),
    ),
    "bright-field": SyntheticInfo("Bright field", make_bright_field),
}
"""Name -> kind of sample."""


def make_demo() -> SyntheticSample:
    """Return the demo's sample, always the same: a flat stack of about forty touching nuclei, bright and dim ones.

    32 x 128 x 128 voxels of 1.5 x 0.5 x 0.5 um.
    """
    return make_blobs(
        np.random.default_rng(7),
        shape=(32, 128, 128),
        spacing=(1.5, 0.5, 0.5),
        diameter_um=11.0,
        fill=0.16,
        touching=0.65,
        unevenness=0.45,
        optics=Optics(photons=25.0, haze=0.25, shading=0.5),
        name="demo",
    )
