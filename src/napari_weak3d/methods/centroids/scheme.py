"""What a centroids model knows beside its weights: its frame, what cells look like, what held-out clicks decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.centroids.peaks import Peaks, blur_map, find_peaks, join_peaks, join_within
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.targets import nearest_neighbours
from napari_weak3d.nn.intensity import Greys
from napari_weak3d.nn.voxels import in_lengths_of
from napari_weak3d.types import Region, Spacing, Volume

_BLUR = 0.15
"""Of centre maps before peaks are looked for, in radii of the typical cell (ours)."""
JOIN_REACH = 1.5
"""Peaks up to this many radii apart may be of one cell; cells that touch are two apart (ours)."""
_REACH_APART = 0.6
"""Neither, of how far apart the peaks of a volume are in the median: a later stage has smaller cells, with true
neighbours within the reach of the clicked ones (ours)."""
_FEWEST_PEAKS = 8
"""Fewer tell nothing of how far apart cells are."""
_REACH_WITHIN = 2.0
"""The same where masks see no border: cells that touch are that far apart (ours)."""


@dataclass(frozen=True)
class Scheme:
    """The frame of a model.

    Attributes
    ----------
    channels
        Channels of the images.
    spacing, unit
        Of the first training volume.
    look
        A typical cell of all training volumes.
    merge_distance
        Peaks closer than this are one, in the unit of the spacing.
    joins
        Whether peaks farther apart are joined where no valley or border parts them: where the clicks of the training
        showed that the first network sees several peaks in a cell. Else it would only cost small cells.
    """

    channels: int
    spacing: Spacing
    unit: str
    look: CellLook
    merge_distance: float
    joins: bool = False

    def measure(self, volume: Volume) -> Volume:
        """Give a volume the lengths that this model knows: by its own spacing, or in voxels where a unit is unknown."""
        return in_lengths_of(volume, spacing=self.spacing, unit=self.unit)

    def find_peaks(self, centre_map: NDArray[Any], *, spacing: Spacing, threshold: float) -> Peaks:
        """Find the centres that a map (Z, Y, X) of this model's first network shows."""
        peaks = find_peaks(
            centre_map,
            spacing=spacing,
            merge_distance=self.merge_distance,
            threshold=threshold,
            blur=_BLUR * self.look.radius,
        )
        if not self.joins:
            return peaks
        values = blur_map(centre_map, sigma=_BLUR * self.look.radius, spacing=spacing)
        return join_peaks(peaks, values, spacing=spacing, reach=self._reach(JOIN_REACH, peaks, spacing=spacing))

    def join_within(
        self, peaks: Peaks, centre_map: NDArray[Any], inside: NDArray[np.float32], *, spacing: Spacing
    ) -> Peaks:
        """Join the peaks of a map between which the second network's inside (Z, Y, X) shows no border; or none."""
        if not self.joins:
            return peaks
        values = blur_map(centre_map, sigma=_BLUR * self.look.radius, spacing=spacing)
        reach = self._reach(_REACH_WITHIN, peaks, spacing=spacing)
        return join_within(peaks, values, inside, spacing=spacing, reach=reach)

    def _reach(self, radii: float, peaks: Peaks, *, spacing: Spacing) -> float:
        """Give how far apart peaks of one cell may be: so many radii, less in a volume of smaller cells."""
        if len(peaks) < _FEWEST_PEAKS:
            return radii * self.look.radius
        apart = float(np.median(nearest_neighbours(peaks.points_vox, spacing=spacing)))
        return min(radii * self.look.radius, _REACH_APART * apart)


@dataclass(frozen=True, eq=False)
class KnownClicks:
    """The clicks of a training volume, where they are complete, and what tells that volume from others.

    Attributes
    ----------
    identity
        As ``nn.checkpoint.identify`` gives it.
    points_vox
        (N, 3), zyx, voxels.
    region
        As in the sample.
    greys
        Low, middle and high grey value of each channel.
    """

    identity: str
    points_vox: NDArray[np.float64]
    region: Region | None = None
    greys: tuple[Greys, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """What held-out clicks decided.

    Attributes
    ----------
    peak_threshold
        Least value of the centre map at a cell.
    held_out_f1
        Marker F1 on clicks that were held out, within a cell's radius; None where there were none.
    """

    peak_threshold: float
    held_out_f1: float | None = None
