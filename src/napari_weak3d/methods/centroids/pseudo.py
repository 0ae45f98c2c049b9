"""Pseudo labels: the masks that the second network begins to learn from, made from clicks and image.

A bright cell is what reaches half of the way from its surroundings to its click, inside its Voronoi cell. Dark cells
with bright borders, a membrane stain, are flooded from their clicks against a background that begins where no click is
near. A transparent cell is a ball. What lies near such a boundary is uncertain: the network and the refinement loss
decide there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.targets import VoronoiCells
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import IntLabels, Spacing, nearest_voxels

BACKGROUND, INSIDE, BORDER = 0, 1, 2
"""What the second network tells apart; a border is where two cells touch."""
N_CLASSES = 3

# All of these are ours, in radii of the typical cell unless said otherwise; measured on nuclei and on membranes.
_BLUR = 0.2
_BLUR_DARK = 0.15
"""Membranes are thin: less blur than for nuclei."""
_REACH = 1.8
"""Bright cells end here at the latest."""
_CORE = 0.4
"""The level of a cell is the mean in here."""
_AROUND = 0.8
"""The level of its surroundings is that of the darkest beyond this."""
_DARK_SHARE = 15
"""Percentile of the surroundings that counts: other cells' halos are bright."""
_HALF = 0.5
_UNSURE = 0.1
"""So near to one half, of the way from surroundings to cell, a voxel is uncertain."""
_SEED = 0.3
_OUTSIDE = 2.0
"""Beyond this from every click there is background."""


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Masks of clicked cells.

    Attributes
    ----------
    labels
        (Z, Y, X) int32: row of the click + 1; 0 is background.
    uncertain
        (Z, Y, X) bool: what may be either.
    """

    labels: IntLabels
    uncertain: NDArray[np.bool_]


def make_pseudo_labels(
    image: NDArray[np.float32],
    points_vox: NDArray[np.float64],
    *,
    cells: VoronoiCells,
    look: CellLook,
    spacing: Spacing,
    responses: NDArray[np.float32] | None = None,
    response_share: float = 1.0,
) -> PseudoLabels:
    """Make a mask for each click.

    Parameters
    ----------
    image
        (Z, Y, X): the channel that shows cells best.
    points_vox
        (N, 3) clicks.
    cells
        Their Voronoi cells.
    look
        Size, and bright or dark.
    spacing
        (z, y, x).
    responses
        (Z, Y, X) response maps, each in its Voronoi cell; they are high inside cells, be these bright or dark.
    response_share
        How much they count beside the image, 0..1; ignored without any.
    """
    if len(points_vox) == 0:
        return PseudoLabels(np.zeros(image.shape, np.int32), np.zeros(image.shape, bool))
    blur = (_BLUR if look.bright_inside else _BLUR_DARK) * look.radius
    smooth = ndimage.gaussian_filter(image, [blur / along for along in spacing], mode="nearest")
    if responses is None:
        if look.transmitted:
            return threshold_cells(ball_levels(cells, radius=look.radius), points_vox, cells=cells)
        if not look.bright_inside:
            return flood_cells(smooth, cells=cells, radius=look.radius, spacing=spacing)
        return threshold_cells(relative_levels(smooth, cells=cells, radius=look.radius), points_vox, cells=cells)
    sigmas = [_BLUR * look.radius / along for along in spacing]
    smooth_responses = ndimage.gaussian_filter(responses, sigmas, mode="nearest")
    levels = relative_levels(smooth_responses, cells=cells, radius=look.radius)
    if response_share < 1:
        sign = 1 if look.bright_inside else -1
        by_image = (
            ball_levels(cells, radius=look.radius)
            if look.transmitted
            else relative_levels(sign * smooth, cells=cells, radius=look.radius)
        )
        levels *= response_share
        levels += (1 - response_share) * by_image
    return threshold_cells(levels, points_vox, cells=cells)


def relative_levels(smooth: NDArray[np.float32], *, cells: VoronoiCells, radius: float) -> NDArray[np.float32]:
    """Give where between its surroundings (0) and its click (1) each voxel lies; -inf beyond the reach of clicks.

    Parameters
    ----------
    smooth
        (Z, Y, X), blurred.
    """
    levels = np.full(smooth.shape, -np.inf, np.float32)
    near = cells.distance <= _REACH * radius
    for row, box in enumerate(ndimage.find_objects(np.where(near, cells.owner + 1, 0))):
        if box is None:
            continue
        own = near[box] & (cells.owner[box] == row)
        distance, values = cells.distance[box][own], smooth[box][own]
        core = distance <= max(_CORE * radius, float(distance.min()))
        around = values[distance >= _AROUND * radius]
        high = float(values[core].mean())
        low = float(np.percentile(around if around.size else values, _DARK_SHARE))
        levels[box][own] = (values - low) / max(high - low, 1e-6)
    return levels


def ball_levels(cells: VoronoiCells, *, radius: float) -> NDArray[np.float32]:
    """Give how near to its click each voxel lies: 1 there, one half at the radius, -inf beyond the reach of clicks.

    Of a transparent cell no brightness tells where it ends: it is taken for a ball, whose surface is uncertain.
    """
    levels = 1 - cells.distance / np.float32(2 * radius)
    return np.where(cells.distance <= _REACH * radius, levels, -np.inf).astype(np.float32)


def threshold_cells(
    levels: NDArray[np.float32], points_vox: NDArray[np.float64], *, cells: VoronoiCells
) -> PseudoLabels:
    """Keep of each Voronoi cell the piece of at least half level that holds its click, holes filled.

    Where the click lies beside it (human hands), the largest piece is kept.

    Parameters
    ----------
    levels
        (Z, Y, X), as :func:`relative_levels` gives them.
    """
    labels = np.zeros(levels.shape, np.int32)
    within = np.where(np.isfinite(levels), cells.owner + 1, 0)
    for row, box in enumerate(ndimage.find_objects(within)):
        if box is None:
            continue
        inside = (within[box] == row + 1) & (levels[box] >= _HALF)
        pieces, count = ndimage.label(inside)
        if count == 0:
            continue
        at = nearest_voxels(points_vox[row]) - [along.start for along in box]
        held = pieces[tuple(np.clip(at, 0, np.array(pieces.shape) - 1))]
        piece = pieces == (held or np.bincount(pieces.ravel())[1:].argmax() + 1)
        labels[box][ndimage.binary_fill_holes(piece)] = row + 1
    return PseudoLabels(labels, np.abs(levels - _HALF) < _UNSURE)


def flood_cells(smooth: NDArray[np.float32], *, cells: VoronoiCells, radius: float, spacing: Spacing) -> PseudoLabels:
    """Flood a membrane stain from the clicks, and from a background that begins far from all of them.

    What borders on background is uncertain: the outer membrane is as thick as the blur.
    """
    n_cells = int(cells.owner.max()) + 1
    markers = np.zeros(smooth.shape, np.int32)
    seeds = cells.distance <= max(_SEED * radius, 0.5 * min(spacing))
    markers[seeds] = cells.owner[seeds] + 1
    markers[cells.distance > _OUTSIDE * radius] = n_cells + 1
    labels: IntLabels = watershed(smooth, markers).astype(np.int32)
    labels[labels == n_cells + 1] = 0
    inside = labels > 0
    return PseudoLabels(labels, inside & ~ndimage.binary_erosion(inside, border_value=1))


def make_mask_targets(pseudo: PseudoLabels, *, known: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Turn pseudo labels into classes.

    Parameters
    ----------
    known
        (Z, Y, X) bool: where all cells were clicked.

    Returns
    -------
    (Z, Y, X) int16: ``BACKGROUND``, ``INSIDE``, ``BORDER`` where a face neighbour belongs to another cell,
    ``UNLABELLED`` where uncertain or not known. Borders are never uncertain: both sides are cells.
    """
    targets = np.where(pseudo.labels > 0, INSIDE, BACKGROUND).astype(np.int16)
    targets[pseudo.uncertain] = UNLABELLED
    targets[touching(pseudo.labels)] = BORDER
    targets[~known] = UNLABELLED
    return targets


def touching(labels: IntLabels) -> NDArray[np.bool_]:
    """(Z, Y, X): voxels of an object with a face neighbour of another one."""
    touch = np.zeros(labels.shape, bool)
    for axis in range(3):
        along, out = np.moveaxis(labels, axis, 0), np.moveaxis(touch, axis, 0)
        meet = (along[1:] != along[:-1]) & (along[1:] > 0) & (along[:-1] > 0)
        out[1:] |= meet
        out[:-1] |= meet
    return touch
