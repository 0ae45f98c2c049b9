"""Nuclei: bent ellipsoids with a grain of their own, apart from each other or pressed together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_weak3d.metrics import compact_ids
from napari_weak3d.samples.optics import Image, Optics, Shape, SyntheticSample, smooth_noise, take_picture
from napari_weak3d.types import IntLabels, Spacing

_AXES_RANGE = (0.82, 1.18)
"""The half-axes of a nucleus over its mean radius."""
_WOBBLE = 0.06
"""How far a surface leaves its ellipsoid (standard deviation, over the radius)."""
_FAR = 1.4
"""Times the sum of two mean radii: nuclei this far apart cannot meet, whatever their axes and wobble."""
_SQUEEZE = 0.8
"""Times the sum of two mean radii: no two nuclei are nearer than this."""
_ATTEMPTS = 60
"""Places tried for one nucleus before it is left out."""
_SMALLEST_PART = 0.1
"""What the volume's border leaves of a nucleus is kept from this share of a whole one on."""


def make_blobs(
    rng: np.random.Generator,
    *,
    shape: Shape = (48, 128, 128),
    spacing: Spacing = (0.5, 0.5, 0.5),
    diameter_um: float = 9.0,
    fill: float = 0.15,
    touching: float = 0.0,
    unevenness: float = 0.3,
    optics: Optics | None = None,
    name: str = "blobs",
) -> SyntheticSample:
    """Make a volume of stained nuclei.

    Parameters
    ----------
    rng
        Source of everything random: the same generator state gives the same sample.
    shape
        (Z, Y, X) voxels.
    spacing
        Size of a voxel (z, y, x), um.
    diameter_um
        Mean diameter of a nucleus; single ones vary by an eighth.
    fill
        Share of the volume that nuclei are to fill, 0..1; less where no room is found (apart, about 0.15 fits).
    touching
        Share of the nuclei that are set against an earlier one, 0..1. At 0 no two touch, diagonals included.
    unevenness
        Spread of the brightness from nucleus to nucleus (sigma of its logarithm).
    optics
        The microscope; None: an ordinary confocal one.
    name
        Of the volume.

    Returns
    -------
    SyntheticSample
        Each object is one piece (26-neighbours); those cut by the border are kept unless a sliver.
    """
    labels = draw_ellipsoids(rng, shape=shape, spacing=spacing, diameter_um=diameter_um, fill=fill, touching=touching)
    scene = _stain(labels, rng=rng, spacing=spacing, unevenness=unevenness, diameter_um=diameter_um)
    return SyntheticSample(take_picture(scene, rng=rng, spacing=spacing, optics=optics or Optics(), name=name), labels)


def draw_ellipsoids(
    rng: np.random.Generator, *, shape: Shape, spacing: Spacing, diameter_um: float, fill: float, touching: float
) -> IntLabels:
    """(Z, Y, X) int32: bent ellipsoids, as for :func:`make_blobs`."""
    centres, radii = _place(
        rng, extent_um=np.multiply(shape, spacing), diameter_um=diameter_um, fill=fill, touching=touching
    )
    labels = _draw(centres, radii, rng=rng, shape=shape, spacing=spacing)
    smallest = _SMALLEST_PART * np.pi / 6 * diameter_um**3 / np.prod(spacing)
    return keep_whole(labels, smallest=int(smallest))


def keep_whole(labels: IntLabels, *, smallest: int) -> IntLabels:
    """Keep of every object its largest piece, drop what is smaller than ``smallest`` voxels, number the rest from 1."""
    kept = np.zeros_like(labels)
    everywhere = np.ones((3, 3, 3), dtype=np.bool_)
    for number, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, _ = ndi.label(labels[box] == number, structure=everywhere)
        sizes = np.bincount(pieces.ravel())[1:]
        if sizes.max() >= max(smallest, 1):
            kept[box][pieces == sizes.argmax() + 1] = number
    return compact_ids(kept)[0]


def _place(
    rng: np.random.Generator, *, extent_um: NDArray[np.float64], diameter_um: float, fill: float, touching: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 3) centres and (N,) mean radii, um."""
    wanted = max(1, round(fill * float(np.prod(extent_um)) / (np.pi / 6 * diameter_um**3)))
    centres, radii = np.empty((0, 3)), np.empty(0)
    for radius in diameter_um / 2 * np.clip(rng.normal(1, 0.12, wanted), 0.7, 1.3):
        against = len(centres) > 0 and rng.random() < touching
        nearest = _SQUEEZE if touching > 0 else _FAR
        for _ in range(_ATTEMPTS):
            centre = rng.uniform(0, extent_um)
            if against:
                host = rng.integers(len(centres))
                direction = rng.normal(size=3)
                reach = rng.uniform(0.82, 0.95) * (radii[host] + radius)
                centre = centres[host] + reach * direction / np.linalg.norm(direction)
            inside = bool(((centre >= 0) & (centre <= extent_um)).all())
            if inside and (np.linalg.norm(centres - centre, axis=1) >= nearest * (radii + radius)).all():
                centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
                break
    return centres, radii


def _draw(
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    shape: Shape,
    spacing: Spacing,
) -> IntLabels:
    """Fill the nuclei in; a voxel inside several goes to the one it lies deepest in, so that they press flat."""
    labels = np.zeros(shape, dtype=np.int32)
    depth = np.ones(shape, dtype=np.float32)  # 0 at a centre, 1 on the surface
    wobble = 1 + np.clip(_WOBBLE * smooth_noise(shape, rng=rng, spacing=spacing, length_um=1.8), -0.15, 0.15)
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), start=1):
        half_axes = radius * rng.uniform(*_AXES_RANGE, 3)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        box = tuple(
            slice(max(0, int((c - 1.5 * radius) / step)), min(n, int((c + 1.5 * radius) / step) + 2))
            for c, step, n in zip(centre, spacing, shape, strict=True)
        )
        grid = np.meshgrid(
            *(np.arange(s.start, s.stop) * step for s, step in zip(box, spacing, strict=True)), indexing="ij"
        )
        away = np.stack(grid, axis=-1) - centre  # (z, y, x, 3), um
        here = np.linalg.norm(away @ turn / half_axes, axis=-1) * wobble[box]
        mine = here < depth[box]
        labels[box][mine] = number
        depth[box][mine] = here[mine]
    return labels


def _stain(
    labels: IntLabels, *, rng: np.random.Generator, spacing: Spacing, unevenness: float, diameter_um: float
) -> Image:
    """Density of dye: uneven from nucleus to nucleus and across one, grainy, with dark nucleoli, in a dim cytoplasm."""
    n = int(labels.max())
    brightness = np.concatenate([[0], np.exp(rng.normal(0, unevenness, n))]).astype(np.float32)
    grain = np.exp(0.35 * smooth_noise(labels.shape, rng=rng, spacing=spacing, length_um=0.5))
    slope = np.exp(0.25 * smooth_noise(labels.shape, rng=rng, spacing=spacing, length_um=diameter_um / 3))
    nucleoli = smooth_noise(labels.shape, rng=rng, spacing=spacing, length_um=0.9) > 1.7
    nuclei = brightness[labels] * grain * slope * np.where(nucleoli, np.float32(0.35), np.float32(1))
    cells = ndi.gaussian_filter((labels > 0).astype(np.float32), 0.25 * diameter_um / np.asarray(spacing))
    cytoplasm = 0.12 * cells * np.exp(0.5 * smooth_noise(labels.shape, rng=rng, spacing=spacing, length_um=1.0))
    return np.asarray(nuclei + cytoplasm, dtype=np.float32)
