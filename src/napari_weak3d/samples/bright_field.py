"""Transparent cells in transmitted light: a ring at each border, fringes about it, and the shadow of all other planes.

The image is linear in the scene, plane by plane (a weak object): what absorbs keeps its sign through focus, what only
slows light down gives fringes that change theirs. Each plane of the stack sums up what all planes of the scene give at
their distance, blurred by the cone of the illumination.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy import ndimage as ndi

from napari_weak3d.samples.blobs import draw_ellipsoids
from napari_weak3d.samples.optics import Image, Optics, Shape, SyntheticSample, expose, smooth_noise
from napari_weak3d.types import IntLabels, Spacing

_WAVELENGTH_UM = 0.41
"""Of green light in water."""
_CONE = 0.25
"""Sine of the half angle of the illumination: blur in the plane (sigma) per distance from focus."""
_BODY = 0.12
"""Phase of a cell's inside per um of its thickness, radians: weaker than true, for all stays in the linear range."""
_WALL = 0.05
"""What a cell's wall absorbs per um."""
_WALL_UM = 0.5
_GRANULES = 0.03
"""What the granules inside of a cell absorb per um."""
_BRIGHT = Optics(photons=1500.0, shading=0.05)
"""Transmitted light is plentiful."""


def make_bright_field(
    rng: np.random.Generator,
    *,
    shape: Shape = (32, 128, 128),
    spacing: Spacing = (1.5, 0.5, 0.5),
    diameter_um: float = 11.0,
    fill: float = 0.08,
    touching: float = 0.3,
    optics: Optics = _BRIGHT,
    name: str = "bright-field",
) -> SyntheticSample:
    """Make a bright-field stack of round cells in suspension.

    Parameters
    ----------
    rng
        Source of everything random.
    shape
        (Z, Y, X) voxels.
    spacing
        Size of a voxel (z, y, x), um.
    diameter_um
        Mean diameter of a cell; single ones vary by an eighth.
    fill
        Share of the volume that cells are to fill, 0..1.
    touching
        Share of the cells that are set against an earlier one, 0..1.
    optics
        Only its shading, photons and read noise count.
    name
        Of the volume.

    Returns
    -------
    SyntheticSample
        Inside a cell it is nearly as bright as outside; its border is dark where it is in focus.
    """
    labels = draw_ellipsoids(rng, shape=shape, spacing=spacing, diameter_um=diameter_um, fill=fill, touching=touching)
    body, absorption = _build(labels, rng=rng, spacing=spacing)
    light = np.exp(_project(body, absorption, spacing=spacing))
    return SyntheticSample(expose(light, rng=rng, spacing=spacing, optics=optics, name=name), labels)


def _build(labels: IntLabels, *, rng: np.random.Generator, spacing: Spacing) -> tuple[Image, Image]:
    """Phase and absorption per um, (Z, Y, X) each."""
    n = int(labels.max())
    inside = labels > 0
    dense = np.concatenate([[0], np.exp(rng.normal(0, 0.2, n))]).astype(np.float32)
    depth = ndi.distance_transform_edt(inside, sampling=spacing)
    wall = inside & (depth <= max(_WALL_UM, min(spacing)))
    granules = inside & (smooth_noise(labels.shape, rng=rng, spacing=spacing, length_um=0.6) > 1.5)
    absorption = _WALL * wall + _GRANULES * granules
    return _BODY * dense[labels], absorption.astype(np.float32)


def _project(phase: Image, absorption: Image, *, spacing: Spacing) -> Image:
    """(Z, Y, X) change of the light's logarithm in each plane, of all planes of the scene.

    References
    ----------
    Out of focus, a weak object's absorption is seen times -cos(chi) and its phase times 2 sin(chi), where chi is
    pi * wavelength * distance * frequency**2 (Guigay 1977); a cone of illumination blurs both by the distance.
    """
    n_z, n_y, n_x = phase.shape
    frequency_sq = (
        fft.fftfreq(n_y, spacing[1])[:, None] ** 2 + fft.rfftfreq(n_x, spacing[2])[None] ** 2
    )  # (Y, X / 2 + 1), cycles per um
    bodies, absorbers = (fft.rfftn(each, axes=(1, 2)) for each in (phase, absorption))
    seen: NDArray[np.complex128] = np.zeros(bodies.shape, np.complex128)
    for planes in range(1 - n_z, n_z):  # from the plane of the scene to that of the image
        distance = planes * spacing[0]
        chi = np.pi * _WAVELENGTH_UM * distance * frequency_sq
        damping = np.exp(-2 * (np.pi * _CONE * distance) ** 2 * frequency_sq)
        here = slice(max(0, planes), n_z + min(0, planes))
        there = slice(max(0, -planes), n_z - max(0, planes))
        seen[here] += damping * (2 * np.sin(chi) * bodies[there] - np.cos(chi) * absorbers[there])
    return np.asarray(fft.irfftn(seen * spacing[0], s=(n_y, n_x), axes=(1, 2)), dtype=np.float32)
