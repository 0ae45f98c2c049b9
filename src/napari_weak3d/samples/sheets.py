"""Membranes: cells that fill the volume, told apart by bright walls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_weak3d.samples.blobs import keep_whole
from napari_weak3d.samples.optics import Image, Optics, Shape, SyntheticSample, smooth_noise, take_picture
from napari_weak3d.types import Spacing

CELL, MEMBRANE = 1, 2
"""Values of ``SyntheticSample.classes``."""
_BULGE = 0.05
"""How far walls bend (standard deviation, over the diameter of a cell)."""
_CANDIDATES = 12
"""Places drawn for each cell, of which the one farthest from all others is taken."""


def make_sheets(
    rng: np.random.Generator,
    *,
    shape: Shape = (48, 128, 128),
    spacing: Spacing = (0.5, 0.5, 0.5),
    diameter_um: float = 12.0,
    wall_um: float = 1.0,
    optics: Optics | None = None,
    name: str = "sheets",
) -> SyntheticSample:
    """Make a volume of cells with stained membranes.

    Parameters
    ----------
    rng
        Source of everything random.
    shape
        (Z, Y, X) voxels.
    spacing
        Size of a voxel (z, y, x), um.
    diameter_um
        Of a ball of a cell's mean volume.
    wall_um
        Thickness of the membrane between two cells. A wall thinner than a voxel has gaps: there cells touch.
    optics
        The microscope; None: an ordinary confocal one.
    name
        Of the volume.

    Returns
    -------
    SyntheticSample
        ``labels``: the cells, without their walls; ``classes``: CELL, MEMBRANE, and 0 for slivers at the border.
    """
    extent_um = np.multiply(shape, spacing)
    n_cells = max(2, round(float(np.prod(extent_um)) / (np.pi / 6 * diameter_um**3)))
    seeds = _scatter(rng, n=n_cells, extent_um=extent_um)
    owner, to_wall = _cut(seeds, rng=rng, shape=shape, spacing=spacing, bulge_um=_BULGE * diameter_um)
    wall = to_wall <= wall_um / 2
    labels = keep_whole(np.where(wall, 0, owner + 1).astype(np.int32), smallest=20)
    classes = np.where(wall, MEMBRANE, np.where(labels > 0, CELL, 0)).astype(np.int32)
    scene = _stain(wall, owner, rng=rng, spacing=spacing)
    volume = take_picture(scene, rng=rng, spacing=spacing, optics=optics or Optics(), name=name)
    return SyntheticSample(volume, labels, classes)


def _scatter(rng: np.random.Generator, *, n: int, extent_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points, um, spread out evenly but not regularly."""
    seeds = rng.uniform(0, extent_um, (1, 3))
    while len(seeds) < n:
        candidates = rng.uniform(0, extent_um, (_CANDIDATES, 3))
        apart = np.linalg.norm(candidates[:, None] - seeds[None], axis=-1).min(axis=1)
        seeds = np.vstack([seeds, candidates[apart.argmax()]])
    return seeds


def _cut(
    seeds: NDArray[np.float64], *, rng: np.random.Generator, shape: Shape, spacing: Spacing, bulge_um: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(Z, Y, X) nearest seed of each voxel, and distance to the face towards the second nearest, um."""
    grid = np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij")
    bent = [axis + bulge_um * smooth_noise(shape, rng=rng, spacing=spacing, length_um=2.5) for axis in grid]
    distance, number = cKDTree(seeds).query(np.stack(bent, axis=-1).reshape(-1, 3), k=2)  # (V, 2) each
    between = np.linalg.norm(seeds[number[:, 0]] - seeds[number[:, 1]], axis=1)
    to_face = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * between)  # the face lies halfway
    return number[:, 0].reshape(shape), to_face.reshape(shape)


def _stain(wall: NDArray[np.bool_], owner: NDArray[np.intp], *, rng: np.random.Generator, spacing: Spacing) -> Image:
    """Density of dye: walls of patchy brightness, cells each a little lit inside, with bright vesicles."""
    patchy = np.exp(0.45 * smooth_noise(wall.shape, rng=rng, spacing=spacing, length_um=2.5))
    inside = np.exp(rng.normal(-2.2, 0.4, int(owner.max()) + 1))[owner]
    grain = np.exp(0.4 * smooth_noise(wall.shape, rng=rng, spacing=spacing, length_um=0.6))
    vesicles = 0.7 * (smooth_noise(wall.shape, rng=rng, spacing=spacing, length_um=0.5) > 3.2)
    return np.asarray(np.where(wall, patchy, inside * grain + vesicles), dtype=np.float32)
