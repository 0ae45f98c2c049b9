"""From a scene to the picture that a microscope takes of it: blur, haze, shading, photons, a camera.

A scene is a density of dye, (Z, Y, X) float32, about 1 where an object of ordinary brightness lies. Lengths are in
micrometres, so that one set of optics serves any spacing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy import ndimage as ndi

from napari_weak3d.types import IntLabels, Spacing, Volume

Shape: TypeAlias = tuple[int, int, int]
Image: TypeAlias = NDArray[np.float32]

CAMERA_OFFSET = 100
"""Grey values of a camera that sees nothing, as scientific cameras are set."""
CAMERA_GAIN = 8
"""Grey values per electron."""
_HAZE_WIDTH = 8.0
"""Out-of-focus light is this many times wider than the blur of the focal plane."""


@dataclass(frozen=True)
class SyntheticSample:
    """A synthetic volume with its truth.

    Attributes
    ----------
    volume
        One channel, uint16, spacing in um.
    labels
        (Z, Y, X) int32: every object by its id, 1 to N; 0 is background.
    classes
        (Z, Y, X) int32 class of each voxel where there is more than object and background, else None.
    """

    volume: Volume
    labels: IntLabels
    classes: IntLabels | None = None


@dataclass(frozen=True)
class Optics:
    """A microscope and its camera.

    Attributes
    ----------
    blur_um
        Sigma of the blur along z and in the plane (um).
    haze
        Share of the light that comes from far out of focus, 0..1.
    defocus_um
        Further sigma of blur (um, in the plane; three times that along z) in the worst plane; it grows from a sharp
        plane at a third of the depth. 0: every plane is equally sharp.
    shading
        By how much the light falls off towards the corners and with depth, 0..1.
    photons
        Electrons per voxel at density 1.
    background
        Light that is everywhere, as a density.
    read_noise
        Of the camera, in electrons.
    """

    blur_um: tuple[float, float] = (0.8, 0.25)
    haze: float = 0.15
    defocus_um: float = 0.0
    shading: float = 0.4
    photons: float = 60.0
    background: float = 0.08
    read_noise: float = 1.6


def take_picture(scene: Image, *, rng: np.random.Generator, spacing: Spacing, optics: Optics, name: str) -> Volume:
    """Image a scene.

    Parameters
    ----------
    scene
        (Z, Y, X) density of dye, >= 0.
    rng
        Source of the noise and of where the light is brightest.
    spacing
        Size of a voxel (z, y, x), um.
    optics
        The microscope.
    name
        Of the volume.

    Returns
    -------
    Volume
        One channel, uint16.
    """
    axial, lateral = optics.blur_um
    blur_vox = np.array([axial, lateral, lateral]) / spacing
    light = ndi.gaussian_filter(scene, blur_vox, mode="nearest")
    if optics.defocus_um > 0:
        light = _defocus(light, sigma_vox=optics.defocus_um * np.array([3, 1, 1]) / spacing)
    hazy = _blur_widely(light, sigma_vox=_HAZE_WIDTH * blur_vox)
    light = (1 - optics.haze) * light + optics.haze * hazy
    return expose(light + optics.background, rng=rng, spacing=spacing, optics=optics, name=name)


def expose(light: Image, *, rng: np.random.Generator, spacing: Spacing, optics: Optics, name: str) -> Volume:
    """Record light (Z, Y, X), 1 where it is of ordinary brightness: shading, photons and camera of ``optics``."""
    shaded = light * _illumination(light.shape, rng=rng, shading=optics.shading)
    electrons = rng.poisson(optics.photons * shaded) + rng.normal(0, optics.read_noise, light.shape)
    counts = np.clip(np.rint(CAMERA_OFFSET + CAMERA_GAIN * electrons), 0, np.iinfo(np.uint16).max)
    return Volume(counts.astype(np.uint16)[None], spacing=spacing, unit="um", name=name)


def smooth_noise(shape: tuple[int, ...], *, rng: np.random.Generator, spacing: Spacing, length_um: float) -> Image:
    """Gaussian noise of mean 0 and standard deviation 1 that varies over ``length_um``; periodic, (Z, Y, X)."""
    white = rng.standard_normal(shape, dtype=np.float32)
    sigma_vox = length_um / np.asarray(spacing)
    spectrum = ndi.fourier_gaussian(fft.rfftn(white), sigma_vox, n=shape[-1])
    noise = fft.irfftn(spectrum, s=shape)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), dtype=np.float32)


def _defocus(light: Image, *, sigma_vox: NDArray[np.float64]) -> Image:
    """Blend each plane with a blurred copy, by its distance from the sharp plane."""
    depth = np.linspace(0, 1, len(light))
    weight = np.clip(1.8 * np.abs(depth - 1 / 3), 0, 1)[:, None, None].astype(np.float32)
    blurred = ndi.gaussian_filter(light, sigma_vox, mode="nearest")
    return np.asarray((1 - weight) * light + weight * blurred, dtype=np.float32)


def _blur_widely(light: Image, *, sigma_vox: NDArray[np.float64]) -> Image:
    """Blur by a large sigma on every fourth voxel of a plane: as good where no detail is left, and far faster."""
    coarse = ndi.gaussian_filter(ndi.uniform_filter(light, (1, 4, 4))[:, ::4, ::4], sigma_vox / (1, 4, 4))
    rows, columns = (
        np.minimum(np.arange(size) / 4, n - 1) for size, n in zip(light.shape[1:], coarse.shape[1:], strict=True)
    )
    planes = np.arange(len(light))
    return np.asarray(ndi.map_coordinates(coarse, np.meshgrid(planes, rows, columns, indexing="ij"), order=1))


def _illumination(shape: tuple[int, ...], *, rng: np.random.Generator, shading: float) -> Image:
    """(Z, Y, X) in 1 - shading .. 1: brightest at a random place of the plane, dimmer towards the last slice."""
    n_z, n_y, n_x = shape
    y0, x0 = rng.uniform(0.3, 0.7, 2)
    y, x = np.linspace(0, 1, n_y)[:, None] - y0, np.linspace(0, 1, n_x)[None] - x0
    plane = 1 - shading * np.clip(y**2 + x**2, 0, 1)
    depth = 1 - 0.5 * shading * np.linspace(0, 1, n_z)
    return np.asarray(depth[:, None, None] * plane, dtype=np.float32)
