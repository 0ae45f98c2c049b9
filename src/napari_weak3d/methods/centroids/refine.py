"""The refinement loss: mask edges cost where the image has none (equations 4 and 5).

The image's term does not depend on the network: it is computed once per volume, and moved along with each patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.centroids.config import Refinement
from napari_weak3d.nn.separable import apply_along_axes, gaussian_matrix
from napari_weak3d.types import Spacing

_PERCENTILE = 99
_EPSILON = 1e-8


def sigmas_along(sigma_vox: float, *, spacing: Spacing) -> tuple[float, float, float]:
    """Give a blur of ``sigma_vox`` voxels of the plane as voxels of each axis: the same length along all."""
    in_plane = (spacing[1] * spacing[2]) ** 0.5
    z, y, x = (sigma_vox * in_plane / along for along in spacing)
    return z, y, x


def edge_strength(
    image: NDArray[np.float32],
    *,
    kind: Refinement,
    spacing: Spacing,
    sigma_vox: float,
    region: Any = ...,
) -> NDArray[np.float32]:
    """Give how strong the image's edges are.

    Parameters
    ----------
    image
        (Z, Y, X).
    kind
        Bright field: the size of the Laplacian; else: the length of the gradient; both of the blurred image, with
        derivatives by length.
    spacing
        (z, y, x).
    sigma_vox
        Of the blur, voxels of the plane.
    region
        Index of the part whose 99th percentile becomes 1 (ours: raw values are about 0.01, where exp is 1 and the loss
        only shrinks masks).

    Returns
    -------
    (Z, Y, X) float32, at least 0, about 0 to 1.
    """
    sigmas = sigmas_along(sigma_vox, spacing=spacing)
    in_plane = (spacing[1] * spacing[2]) ** 0.5
    slope_along = _second_derivative if kind is Refinement.BRIGHT_FIELD else _first_derivative
    order = 2 if kind is Refinement.BRIGHT_FIELD else 1
    total = np.zeros(image.shape, np.float32)
    for axis, along in enumerate(spacing):
        slope = slope_along(image, axis, sigmas=sigmas) * (in_plane / along) ** order
        total += slope if kind is Refinement.BRIGHT_FIELD else slope**2
    strength = np.abs(total) if kind is Refinement.BRIGHT_FIELD else np.sqrt(total)
    largest = float(np.percentile(strength[region], _PERCENTILE)) if strength[region].size else 0.0
    scaled: NDArray[np.float32] = (strength / np.float32(largest or 1.0)).astype(np.float32)
    return scaled


def _first_derivative(image: NDArray[np.float32], axis: int, *, sigmas: Sequence[float]) -> NDArray[np.float32]:
    orders = [1 if axis == each else 0 for each in range(3)]
    slope: NDArray[np.float32] = ndimage.gaussian_filter(image, sigmas, order=orders, mode="nearest")
    return slope


def _second_derivative(image: NDArray[np.float32], axis: int, *, sigmas: Sequence[float]) -> NDArray[np.float32]:
    """The second derivative of the blurred image, 0 where that is flat.

    Sampled at voxels, the kernel of a narrow Gaussian, as along z where planes lie far apart, does not sum to 0: it
    answers to brightness. What it answers to brightness alone is taken away.
    """
    orders = [2 if axis == each else 0 for each in range(3)]
    contrast = image - image.min(initial=np.inf)  # of flat ground nothing is left to round
    curve = ndimage.gaussian_filter(contrast, sigmas, order=orders, mode="nearest")
    leak = float(ndimage.gaussian_filter1d(np.ones(1), sigmas[axis], order=2, mode="nearest")[0])
    flat: NDArray[np.float32] = curve - np.float32(leak) * ndimage.gaussian_filter(contrast, sigmas, mode="nearest")
    return flat


def refinement_loss(
    mask: Tensor, strength: Tensor, *, known: Tensor, spacings: Sequence[Spacing], sigma_vox: float, power: float
) -> Tensor:
    """Penalise edges of the mask where the image has none.

    The mean over known voxels of |grad G(mask, sigma)| * exp(-strength ** power).

    Parameters
    ----------
    mask
        (B, Z, Y, X) probabilities, float32.
    strength
        (B, Z, Y, X): of :func:`edge_strength`.
    known
        (B, Z, Y, X) bool: where cells were clicked; 0 where there is no such voxel.
    spacings
        (z, y, x) of each of the B.
    sigma_vox
        Voxels of the plane.
    power
        p.

    Returns
    -------
    A scalar.

    References
    ----------
    BFS-Net, equations 4 and 5. The gradient is a vector there: we take its length, by length rather than by voxel.
    """
    total = mask.new_zeros(())
    for spacing in dict.fromkeys(spacings):
        rows = [row for row, each in enumerate(spacings) if each == spacing]
        blurred = _blur(mask[rows], sigmas=sigmas_along(sigma_vox, spacing=spacing))
        slope = gradient_length(blurred, spacing=spacing)
        total = total + (slope * torch.exp(-(strength[rows] ** power)) * known[rows]).sum()
    return total / known.sum().clamp(min=1)


def _blur(mask: Tensor, *, sigmas: tuple[float, float, float]) -> Tensor:
    matrices = [
        None if matrix is None else matrix.to(mask.device)
        for matrix in (gaussian_matrix(size, sigma=sigma) for size, sigma in zip(mask.shape[1:], sigmas, strict=True))
    ]
    return apply_along_axes(mask, matrices)


def gradient_length(image: Tensor, *, spacing: Spacing) -> Tensor:
    """(B, Z, Y, X) -> the length of its gradient by central differences, per pixel of the plane; one-sided at faces."""
    in_plane = (spacing[1] * spacing[2]) ** 0.5
    total = torch.zeros_like(image)
    for axis, along in enumerate(spacing, start=1):
        if image.shape[axis] > 1:
            total = total + (_difference(image, axis) * (in_plane / along)) ** 2
    return torch.sqrt(total + _EPSILON)


def _difference(image: Tensor, axis: int) -> Tensor:
    moved = image.movedim(axis, -1)
    steps = moved[..., 1:] - moved[..., :-1]
    # Halves of the steps to both sides; at the faces there is one side, which counts whole.
    both = torch.cat([steps[..., :1], steps], -1) + torch.cat([steps, steps[..., -1:]], -1)
    return (both / 2).movedim(-1, axis)


def focal_loss(logits: Tensor, target: Tensor, *, known: Tensor, above: float, gamma: float = 2.0) -> Tensor:
    """Focal loss for soft targets: cross-entropy times |p - target| ** gamma, where the target is above a value.

    Parameters
    ----------
    logits, target
        (B, Z, Y, X) float32; targets in 0..1.
    known
        (B, Z, Y, X) bool.
    above
        Only voxels with a larger target count; 0 where there are none.

    References
    ----------
    BFS-Net, equation 2, leaves the form open; this is the quality focal loss (Li et al. 2020), which is the usual one
    for targets of 0 and 1.
    """
    where = (known & (target > above)).float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = (logits.sigmoid() - target).abs() ** gamma
    return (entropy * weight * where).sum() / where.sum().clamp(min=1)
