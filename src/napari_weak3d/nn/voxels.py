"""How voxels of one volume compare with those a model was trained on."""

from __future__ import annotations

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
