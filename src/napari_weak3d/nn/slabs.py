"""Neighbouring planes as channels: what a planar network sees of the third dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.nn.intensity import normalise
from napari_weak3d.nn.tiles import mirror
from napari_weak3d.types import Spacing, Volume

_REACH = (1, 2, 4, 8)
"""How far the planes of a slab lie from the middle one, in pixels of the plane (ours)."""


def choose_offsets(spacing: Spacing) -> tuple[int, ...]:
    """Choose which planes a slab holds, as offsets from its middle one, ascending.

    Distances grow like 1, 2, 4, 8 pixels of the plane, rounded to whole planes, at least one: where spacing is far
    larger along the stack a slab has three planes, in isotropic volumes nine.
    """
    in_plane = (spacing[1] * spacing[2]) ** 0.5
    steps = sorted({max(1, round(reach * in_plane / spacing[0])) for reach in _REACH})
    return (*(-step for step in reversed(steps)), 0, *steps)


@dataclass(frozen=True, eq=False)
class SlabView:
    """A volume read as slabs: sliced like an array of shape (C * O, Z, Y, X), O planes per slab.

    Attributes
    ----------
    image
        (C, Z, Y, X) float32.
    offsets
        Which planes a slab holds; beyond the first and last plane the volume is mirrored.
    """

    image: NDArray[np.float32]
    offsets: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C * O, Z, Y, X)."""
        channels, z, y, x = self.image.shape
        return channels * len(self.offsets), z, y, x

    def reversed(self) -> SlabView:
        """The same planes seen from the other side."""
        return SlabView(self.image, tuple(-offset for offset in self.offsets))

    def __getitem__(self, where: tuple[Any, slice, slice, slice]) -> NDArray[np.float32]:
        """Read a box; the first part of ``where`` must be a full slice."""
        _, along, rows, columns = where
        planes = np.arange(*along.indices(self.image.shape[1]))
        index = mirror(planes[None] + np.array(self.offsets)[:, None], self.image.shape[1])  # (O, Z)
        # Cropped first (a view), then gathered: whole planes are never copied.
        box = self.image[:, :, rows, columns][:, index]
        return box.reshape(-1, *box.shape[2:])  # (C, O, Z, Y, X) -> (C * O, Z, Y, X)


def view_volume(volume: Volume) -> SlabView:
    """Normalise a volume for networks that see all three dimensions: slabs of one plane.

    Returns
    -------
    A view of (2C, Z, Y, X): of each channel of the volume brightness and local contrast, see
    :func:`~napari_weak3d.nn.intensity.normalise`.
    """
    return SlabView(normalise(volume.data, spacing=volume.spacing), (0,))
