"""Vessels: branching tubes, brightest at the wall, over specks and a faint tissue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_weak3d.samples.blobs import keep_whole
from napari_weak3d.samples.optics import Image, Optics, Shape, SyntheticSample, smooth_noise, take_picture
from napari_weak3d.types import Spacing

_STEP_UM = 0.4
_BEND = 0.09
"""How much the direction changes in one step (standard deviation, radians)."""
_BRANCHING = 1 / 80
"""Chance of a branch at a step."""
_TAPER = 0.78
"""Radius of a branch over that of its parent."""
_THINNEST_UM = 0.9
_FLATNESS = 0.06
"""Pull of each step towards the middle of the stack: vessels of a flat specimen lie in it, and so stay in view."""
_MOST_STEPS = 1000
"""Ends a tree that would fill the volume."""


def make_tubes(
    rng: np.random.Generator,
    *,
    shape: Shape = (48, 128, 128),
    spacing: Spacing = (0.5, 0.5, 0.5),
    radius_um: float = 2.6,
    n_trees: int = 3,
    optics: Optics | None = None,
    name: str = "tubes",
) -> SyntheticSample:
    """Make a volume of branching vessels.

    Parameters
    ----------
    rng
        Source of everything random.
    shape
        (Z, Y, X) voxels.
    spacing
        Size of a voxel (z, y, x), um.
    radius_um
        Of a trunk; each branch is thinner by a fifth, down to 0.9 um.
    n_trees
        Number of trees; two that meet are one object.
    optics
        The microscope; None: an ordinary confocal one.
    name
        Of the volume.

    Returns
    -------
    SyntheticSample
        ``labels``: each connected net is an object, lumen included.
    """
    extent_um = np.multiply(shape, spacing)
    trees = [_grow(rng, extent_um=extent_um, radius_um=radius_um) for _ in range(n_trees)]
    points, radii = (np.concatenate(parts) for parts in zip(*trees, strict=True))
    to_axis, radius = _nearest_axis(points, radii, shape=shape, spacing=spacing)
    inside = to_axis <= radius
    nets = ndi.label(inside, structure=np.ones((3, 3, 3)))[0].astype(np.int32)
    labels = keep_whole(nets, smallest=30)
    scene = _stain(np.where(labels > 0, to_axis / radius, -1), rng=rng, spacing=spacing)
    return SyntheticSample(take_picture(scene, rng=rng, spacing=spacing, optics=optics or Optics(), name=name), labels)


def _grow(
    rng: np.random.Generator, *, extent_um: NDArray[np.float64], radius_um: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 3) points along the axes of one tree and (N,) radii there, um; it may leave the volume by a radius."""
    face = rng.integers(1, 3)  # a trunk enters through a side of the stack
    start, heading = rng.uniform(0.15, 0.85, 3) * extent_um, rng.normal(0, (0.1, 0.5, 0.5))
    far_side = rng.integers(2)
    start[face], heading[face] = far_side * extent_um[face], 1 - 2 * far_side
    tips = [(start, heading, radius_um * rng.uniform(0.8, 1.2))]
    points: list[NDArray[np.float64]] = []
    radii: list[float] = []
    while tips and len(points) < _MOST_STEPS:
        point, heading, radius = tips.pop(0)
        while ((point >= -radius) & (point <= extent_um + radius)).all() and len(points) < _MOST_STEPS:
            points.append(point)
            radii.append(radius * (1 + 0.12 * np.sin(len(points) / 9)))
            heading = heading / np.linalg.norm(heading) + rng.normal(0, _BEND, 3)
            heading[0] += _FLATNESS * (1 - 2 * point[0] / extent_um[0])
            point = point + _STEP_UM * heading / np.linalg.norm(heading)
            if radius * _TAPER > _THINNEST_UM and rng.random() < _BRANCHING:
                tips.append((point, heading + rng.normal(0, (0.5, 0.9, 0.9)), radius * _TAPER))
    return np.array(points), np.array(radii)


def _nearest_axis(
    points: NDArray[np.float64], radii: NDArray[np.float64], *, shape: Shape, spacing: Spacing
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(Z, Y, X) distance to the nearest axis and the radius there, um."""
    margin = np.ceil(radii.max() * 1.2 / np.asarray(spacing)).astype(int)
    radius_at = np.zeros(shape + 2 * margin)
    voxels = np.rint(points / spacing).astype(int) + margin
    within = ((voxels >= 0) & (voxels < radius_at.shape)).all(axis=1)
    radius_at[tuple(voxels[within].T)] = radii[within]
    distance, nearest = ndi.distance_transform_edt(radius_at == 0, sampling=spacing, return_indices=True)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, shape, strict=True))
    return distance[inner], radius_at[tuple(nearest)][inner]


def _stain(from_axis: NDArray[np.float64], *, rng: np.random.Generator, spacing: Spacing) -> Image:
    """Density of dye; ``from_axis``: 0 on an axis, 1 on the wall, -1 outside."""
    shape = from_axis.shape
    patchy = np.exp(0.45 * smooth_noise(shape, rng=rng, spacing=spacing, length_um=3.5))
    vessel = np.where(from_axis >= 0, 0.4 + 0.6 * from_axis**2, 0) * patchy
    tissue = 0.1 * np.exp(0.5 * smooth_noise(shape, rng=rng, spacing=spacing, length_um=1.2))
    specks = 0.8 * (smooth_noise(shape, rng=rng, spacing=spacing, length_um=0.5) > 3.4)
    return np.asarray(vessel + tissue + specks, dtype=np.float32)
