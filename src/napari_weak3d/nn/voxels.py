"""How voxels of one volume compare with those a model was trained on, and lengths in it with those of training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_weak3d.types import RELATIVE, Spacing, Volume


def compare_voxels(volume: Volume, *, spacing: Spacing, unit: str, along: int = 0) -> float:
    """Tell how many times larger or smaller than in training voxels are, along the axis where it is most; >= 1.

    Where either unit is relative only the shape of voxels is compared, their size within the plane left out.

    Parameters
    ----------
    spacing, unit
        Of training.
    along
        The axis along which planes are stacked: the other two span the plane.
    """
    ratios = np.array(volume.spacing) / spacing
    if RELATIVE in (volume.unit, unit):
        ratios /= np.sqrt(np.prod(np.delete(ratios, along)))
    return float(np.exp(np.abs(np.log(ratios)).max()))


def in_lengths_of(volume: Volume, *, spacing: Spacing, unit: str) -> Volume:
    """Give a volume the lengths of training: with a spacing that can be compared with what was measured there.

    Where either unit is relative nothing says how large voxels are: they are taken to be as large within the plane as
    those of training, so that lengths count in voxels of it. The shape of voxels stays what it is.

    Parameters
    ----------
    spacing, unit
        Of training.

    Returns
    -------
    The same voxels, in the unit of training; the volume itself where both units are known.
    """
    if RELATIVE not in (volume.unit, unit):
        return volume
    factor = float(np.sqrt(np.prod(spacing[1:]) / np.prod(volume.spacing[1:])))
    z, y, x = (along * factor for along in volume.spacing)
    return replace(volume, spacing=(z, y, x), unit=unit)
