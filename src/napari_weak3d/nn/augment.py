"""Patches as another specimen or recording might have shown them: moved, bent, and with other grey values.

After the 3D U-Net (Cicek et al. 2016): rotation, scaling, grey values, and a smooth elastic deformation, drawn anew
for each patch and applied to image and labels in one resampling. What the paper leaves open is ours: ranges, flips,
and that everything acts on lengths, not voxels, so that flat voxels stay flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.nn.greys import GreyRanges, change_greys, sample_factor
from napari_weak3d.nn.warp import UNLABELLED, Displacement, Grid, Patch, Shape, sample_displacement, warp
from napari_weak3d.types import Spacing

__all__ = [
    "NO_AUGMENTATION",
    "PAPER_AUGMENTATION",
    "UNLABELLED",
    "Augmentation",
    "Grid",
    "Patch",
    "augment",
    "change_greys",
    "sample_grid",
    "warp",
]

_FREE_RATIO = 2.0
"""Up to this ratio of z spacing to in-plane spacing, z is moved like the other axes (ours)."""
_FIXED_RATIO = 4.0
"""From this ratio on slices stay whole: interpolating between them would invent more than it varies (ours)."""


@dataclass(frozen=True)
class Augmentation:
    """How much patches may change.

    Chances are 0 to 1; angles, factors and displacements are drawn evenly up to the given largest one (factors
    evenly in their logarithm), those along or towards z shrunk by how flat the voxels are.

    Attributes
    ----------
    flip_chance
        For each axis.
    swap_chance
        Of a random order of those axes that have the same spacing.
    swapped_axes
        The axes that may be in it.
    in_plane_degrees, out_of_plane_degrees
        Largest rotation about z, and about y and x.
    scale, axis_scale
        Largest factor on all axes together, and on each.
    least_z_zoom
        How much of a factor acts along z at least, 0..1, however flat the voxels are: things of another size are of
        another size along z too. Where it acts slices do not stay whole.
    elastic_sigma_vox, elastic_step_vox
        Standard deviation of the displacement vectors and the distance between them, in voxels of the smallest
        spacing. The paper's 4 and 32 are for data of about 1.8 um per voxel, down-sampled by 2.
    greys
        The changes of grey values.
    """

    flip_chance: float = 0.5
    swap_chance: float = 0.5
    swapped_axes: tuple[int, ...] = (0, 1, 2)
    rotate_chance: float = 0.5
    in_plane_degrees: float = 180.0
    out_of_plane_degrees: float = 30.0
    scale_chance: float = 0.4
    scale: float = 1.25
    axis_scale: float = 1.1
    least_z_zoom: float = 0.0
    elastic_chance: float = 0.3
    elastic_sigma_vox: float = 4.0
    elastic_step_vox: float = 32.0
    greys: GreyRanges = field(default_factory=GreyRanges)


NO_GREYS = GreyRanges(chance=0, noise_chance=0, blur_chance=0)
NO_AUGMENTATION = Augmentation(
    flip_chance=0, swap_chance=0, rotate_chance=0, scale_chance=0, elastic_chance=0, greys=NO_GREYS
)
PAPER_AUGMENTATION = Augmentation(
    flip_chance=0,
    swap_chance=0,
    rotate_chance=1,
    scale_chance=1,
    axis_scale=1,
    elastic_chance=1,
    greys=GreyRanges(chance=1, noise_chance=0, blur_chance=0),
)
"""What the paper names, in every patch; the ranges of rotation, scaling and grey values are ours."""


def augment(
    image: Any,
    labels: Any,
    *,
    spacing: Spacing,
    augmentation: Augmentation,
    rng: np.random.Generator,
    extra: Any = None,
) -> Patch:
    """Change a whole patch at random; what comes from outside it is mirrored (image) or unlabelled (labels).

    Parameters
    ----------
    image
        (C, Z, Y, X) float, at about mean 0 and standard deviation 1.
    labels
        (Z, Y, X) integers; ``UNLABELLED`` where nothing is known.
    spacing
        (z, y, x), any unit.
    extra
        (E, Z, Y, X) or None: images to move along without a change of their values.
    """
    shape: Shape = tuple(image.shape[1:])
    grid = sample_grid(shape, spacing=spacing, augmentation=augmentation, rng=rng)
    moved = warp(image, labels, grid=grid, extra=extra)
    return moved._replace(image=change_greys(moved.image, ranges=augmentation.greys, spacing=spacing, rng=rng))


def sample_grid(
    shape: Shape,
    *,
    spacing: Spacing,
    augmentation: Augmentation,
    rng: np.random.Generator,
    centre_vox: tuple[float, float, float] | None = None,
) -> Grid:
    """Draw where each voxel of a patch comes from.

    Rotation and scaling act on lengths. The more z spacing exceeds in-plane spacing, from a ratio of 2 to one of 4,
    the less z is tilted, scaled (see ``least_z_zoom``) and displaced; from 4 on slices stay whole
    (``Grid.keeps_slices``).

    Parameters
    ----------
    shape
        (Z, Y, X) of the patch.
    centre_vox
        What of the source comes to lie in the middle; None: the middle of a source of the same shape.
    """
    freedom = _freedom_of_z(spacing)
    turn = _sample_turn(spacing, augmentation=augmentation, rng=rng)
    rotation = _sample_rotation(augmentation, freedom=freedom, rng=rng)
    zoom = _sample_zoom(augmentation, freedom=freedom, rng=rng)
    # From lengths to voxels: entry (i, j) times spacing j over spacing i. Exactly 1 on the diagonal.
    matrix = (rotation / zoom) @ turn * (np.array(spacing)[None, :] / np.array(spacing)[:, None])
    middle = (np.array(shape) - 1) / 2
    offset = np.array(middle if centre_vox is None else centre_vox) - matrix @ middle
    # An axis that is only flipped stays on whole voxels: half a voxel off centre is better than blurred.
    is_whole = (np.sort(np.abs(matrix), axis=1) == [0, 0, 1]).all(axis=1)
    offset = np.where(is_whole, np.round(offset), offset)
    bends = rng.random() < augmentation.elastic_chance
    if not bends:
        return Grid(shape, matrix, offset)
    displacement = _sample_bend(shape, spacing=spacing, augmentation=augmentation, freedom=freedom, rng=rng)
    return Grid(shape, matrix, offset, displacement)


def _freedom_of_z(spacing: Spacing) -> float:
    """1 where z may be moved like the other axes, 0 where slices stay whole."""
    in_plane = (spacing[1] * spacing[2]) ** 0.5
    ratio = max(spacing[0] / in_plane, in_plane / spacing[0])
    return float(np.clip((_FIXED_RATIO - ratio) / (_FIXED_RATIO - _FREE_RATIO), 0, 1))


def _sample_turn(spacing: Spacing, *, augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a signed permutation: flips, and swaps of axes of equal spacing."""
    order = np.arange(3)
    swaps = rng.random() < augmentation.swap_chance
    for equal in {along: np.flatnonzero(np.isclose(spacing, along)) for along in spacing}.values():
        group = equal[np.isin(equal, augmentation.swapped_axes)]
        shuffled = rng.permutation(group)
        if swaps:
            order[group] = shuffled
    signs = np.where(rng.random(3) < augmentation.flip_chance, -1.0, 1.0)
    turn: NDArray[np.float64] = np.eye(3)[order] * signs
    return turn


def _sample_rotation(augmentation: Augmentation, *, freedom: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a rotation (of lengths); exactly none where it does not happen, exactly about z where z is not free."""
    largest = np.array([1, freedom, freedom]) * np.radians(
        [augmentation.in_plane_degrees, augmentation.out_of_plane_degrees, augmentation.out_of_plane_degrees]
    )
    angles = rng.uniform(-1, 1, 3) * largest
    if rng.random() >= augmentation.rotate_chance:
        return np.eye(3)
    rotation = np.eye(3)
    for angle, (i, j) in zip(angles, [(1, 2), (0, 2), (0, 1)], strict=True):
        about = np.eye(3)
        about[[i, j], [i, j]] = np.cos(angle)
        about[i, j], about[j, i] = -np.sin(angle), np.sin(angle)
        rotation = about @ rotation
    return rotation


def _sample_zoom(augmentation: Augmentation, *, freedom: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw how much larger things become along each axis of the source, (3, 1)."""
    together = sample_factor(augmentation.scale, rng=rng)
    each = np.array([sample_factor(augmentation.axis_scale, rng=rng) for _ in range(3)])
    happens = rng.random() < augmentation.scale_chance
    along_z = max(freedom, augmentation.least_z_zoom)
    zoom = (together * each) ** [along_z, 1, 1] if happens else np.ones(3)
    return zoom[:, None]


def _sample_bend(
    shape: Shape, *, spacing: Spacing, augmentation: Augmentation, freedom: float, rng: np.random.Generator
) -> Displacement:
    finer = [min(spacing) / along for along in spacing]
    z, y, x = (augmentation.elastic_sigma_vox * part for part in finer)
    # Nodes closer than two voxels would describe what the voxels cannot show.
    steps = [max(2.0, augmentation.elastic_step_vox * part) for part in finer]
    return sample_displacement(shape, sigma_vox=(z * freedom, y, x), step_vox=(steps[0], steps[1], steps[2]), rng=rng)
