"""Random changes of grey values: what another recording of the same specimen might have looked like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_weak3d.nn.separable import apply_along_axes, coarse_matrix, gaussian_matrix
from napari_weak3d.types import Spacing


@dataclass(frozen=True)
class GreyRanges:
    """How much grey values may change; images are expected at about mean 0 and standard deviation 1.

    Every change happens with its ``chance`` (0 to 1), per patch; the numbers are drawn per channel, those of blur and
    resolution per patch. A range of 1 for a factor, or 0 for anything else, switches the change off.

    Attributes
    ----------
    gain
        Largest factor on all values (log-uniform between its inverse and it).
    offset
        Largest value added.
    contrast
        Largest factor on the distance from the channel's mean.
    gamma
        Largest exponent on the values between the channel's least and greatest.
    noise
        Largest standard deviation of Gaussian noise.
    blur_vox
        Largest standard deviation of a Gaussian blur, in voxels of the smallest spacing; the same length along
        every axis.
    coarseness
        Largest factor by which the resolution is made coarser, in voxels of the smallest spacing; axes whose
        voxels are as long as that already stay as they are.
    """

    chance: float = 0.5
    gain: float = 1.25
    offset: float = 0.2
    contrast: float = 1.25
    gamma: float = 1.4
    noise: float = 0.15
    noise_chance: float = 0.3
    blur_vox: float = 1.0
    coarseness: float = 2.0
    blur_chance: float = 0.2


def change_greys(image: Tensor, *, ranges: GreyRanges, spacing: Spacing, rng: np.random.Generator) -> Tensor:
    """Change the grey values of an image at random.

    Parameters
    ----------
    image
        (C, Z, Y, X) float32; left as it is.
    spacing
        (z, y, x) of its voxels, any unit.

    Returns
    -------
    Tensor
        (C, Z, Y, X) float32.
    """
    image = _lose_detail(image, ranges=ranges, spacing=spacing, rng=rng)
    image = torch.stack([_change_channel(channel, ranges=ranges, rng=rng) for channel in image])
    if rng.random() < ranges.noise_chance and ranges.noise > 0:
        sigma = rng.uniform(0, ranges.noise)
        # In the new image that the channels were stacked into.
        image.add_(torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32)), alpha=sigma)
    return image


def _lose_detail(image: Tensor, *, ranges: GreyRanges, spacing: Spacing, rng: np.random.Generator) -> Tensor:
    """Blur, then sample coarsely; each with its chance."""
    shape = image.shape[1:]
    finer = [min(spacing) / along for along in spacing]  # lengths in voxels of each axis, per voxel of the smallest
    sigma = rng.uniform(0, ranges.blur_vox)
    factor = rng.uniform(1, max(1.0, ranges.coarseness))
    if rng.random() < ranges.blur_chance:
        image = apply_along_axes(
            image, [gaussian_matrix(size, sigma=sigma * part) for size, part in zip(shape, finer, strict=True)]
        )
    if rng.random() < ranges.blur_chance:
        image = apply_along_axes(
            image, [coarse_matrix(size, factor=factor * part) for size, part in zip(shape, finer, strict=True)]
        )
    return image


def _change_channel(channel: Tensor, *, ranges: GreyRanges, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, gain and offset of one channel (Z, Y, X), each with its chance."""
    gamma = sample_factor(ranges.gamma, rng=rng)
    contrast = sample_factor(ranges.contrast, rng=rng)
    gain = sample_factor(ranges.gain, rng=rng)
    offset = rng.uniform(-ranges.offset, ranges.offset)
    happens = rng.random(4) < ranges.chance
    if happens[0] and gamma != 1:
        channel = _apply_gamma(channel, exponent=gamma)
    # One affine step for all the rest: value -> (value - mean) * contrast + mean, then * gain + offset.
    factor = contrast if happens[1] else 1.0
    shift = float(channel.mean()) * (1 - factor)
    if happens[2]:
        factor, shift = factor * gain, shift * gain
    if happens[3]:
        shift += offset
    return channel * factor + shift


def _apply_gamma(channel: Tensor, *, exponent: float) -> Tensor:
    least, greatest = (float(end) for end in torch.aminmax(channel))
    if greatest <= least:
        return channel
    scaled = ((channel - least) / (greatest - least)).clamp_(0, 1)
    return scaled.pow_(exponent).mul_(greatest - least).add_(least)


def sample_factor(largest: float, *, rng: np.random.Generator) -> float:
    """Draw a factor between 1 / ``largest`` and ``largest``, evenly in its logarithm."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(largest)))
