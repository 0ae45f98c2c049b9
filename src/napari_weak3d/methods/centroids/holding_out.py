"""Clicks that are held out: a part of the region that finds the peak threshold, and says how good centres are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.scheme import JOIN_REACH
from napari_weak3d.methods.centroids.volumes import Annotated
from napari_weak3d.metrics import marker_scores
from napari_weak3d.types import nearest_voxels

Scored: TypeAlias = tuple[Annotated, NDArray[np.bool_], Peaks]
"""A volume, the part of it in which clicks and peaks are compared, and all peaks of it."""

_FEWEST = 8
"""Of fewer clicks none is held out: what is left would not be enough to learn from."""
THRESHOLDS = np.linspace(0.1, 0.8, 29)
"""Thresholds of peaks in question."""
USUAL = 0.25
"""Threshold as long as nothing is known (ours)."""
HIGHEST = 0.35
"""Threshold that is chosen at most (ours): maps of cells two thirds as large as the clicked ones are lower."""
TRUSTED = 0.6
"""Held-out F1 below which a network knows too little to be believed, be it about thresholds or clicks (ours)."""
_PULL = 10.0
"""How many clicks' worth of doubt pulls the threshold to the usual one (ours): one cell more or less moves it by 0.1 at
most. Cells smaller than those that were clicked have lower peaks, and would pay for it."""


def choose_held_out(annotated: Annotated, *, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the end of the region, along its longest side, that holds about a share of the clicks.

    Returns
    -------
    (Z, Y, X) bool; nothing where there are fewer than eight clicks.
    """
    held_out = np.zeros(annotated.shape, bool)
    points = annotated.points_vox
    if share == 0 or len(points) < _FEWEST:
        return held_out
    extent = np.ptp(points, axis=0) * annotated.spacing
    axis = int(extent.argmax())
    from_end = bool(np.random.default_rng(seed).random() < 0.5)
    cut = float(np.quantile(points[:, axis], 1 - share if from_end else share))
    along = np.moveaxis(held_out, axis, 0)
    along[int(np.ceil(cut)) if from_end else 0 : None if from_end else int(np.ceil(cut))] = True
    return held_out & annotated.known


def measure_f1(scored: Sequence[Scored]) -> tuple[NDArray[np.float64], int]:
    """Give the marker F1 at each threshold in question, all volumes together, and how many clicks that is of.

    A peak is a click's if it lies within a cell's radius, one to one. Further peaks within a radius of a click are no
    mistake here: masks join them later (``segmenting.find_cells``).
    """
    counts = [_count(scored, threshold=float(threshold)) for threshold in THRESHOLDS]
    f1 = np.array([2 * hits / max(1, found + true) for hits, found, true in counts])
    return f1, counts[0][2]


def share_of_doubles(scored: Sequence[Scored], *, threshold: float) -> float:
    """Give the share of clicks, 0..1, in whose cells there is more than one peak; all volumes together.

    Peaks belong to the nearest click, and lie up to ``JOIN_REACH`` radii from it.
    """
    doubled = clicks = 0
    for annotated, part, peaks in scored:
        (found,) = _within(part, (peaks.above(threshold).points_vox,))
        apart, nearest = cKDTree(annotated.points_vox * annotated.spacing).query(found * annotated.spacing)
        peaks_of = np.bincount(nearest[apart <= JOIN_REACH * annotated.look.radius], minlength=1)
        doubled += int((peaks_of > 1).sum())
        clicks += len(annotated.points_vox)
    return doubled / max(1, clicks)


def choose_threshold(curves: Sequence[tuple[NDArray[np.float64], int]]) -> float:
    """Choose the peak threshold of best F1.

    Parameters
    ----------
    curves
        F1 at each threshold and number of clicks, as :func:`measure_f1` gives them; each curve counts alike. One of
        clicks that were learned from is flat over many thresholds; one of held-out clicks is steep, but old by the
        end of the training.

    Notes
    -----
    Few clicks decide little: the threshold stays near the usual one unless F1 is clearly better elsewhere, and is the
    usual one where F1 is poor everywhere. To go up, each curve is doubted by its own number of clicks, and the
    threshold is never above ``HIGHEST``: F1 is flat up there for cells as large as those that were clicked, and falls
    for smaller ones. To go down, all clicks count together: a threshold that is too low costs a few cells too many,
    which are seen and deleted more easily than missing ones are found.
    """
    told = [(f1, count) for f1, count in curves if count and f1.max() >= TRUSTED]
    if not told:
        return USUAL
    mean = np.mean([f1 for f1, _ in told], axis=0)
    smooth = np.convolve(np.pad(mean, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    up, down = np.mean([1 / count for _, count in told]), 1 / max(count for _, count in told)
    cost = _PULL * np.where(THRESHOLDS > USUAL, up, down) * np.abs(THRESHOLDS - USUAL)
    return float(THRESHOLDS[int(np.argmax(np.where(THRESHOLDS <= HIGHEST, smooth - cost, -np.inf)))])


def _count(scored: Sequence[Scored], *, threshold: float) -> tuple[int, int, int]:
    """Peaks that are clicks, these and peaks without a click, clicks: all in what was held out."""
    hits = found = true = 0
    for annotated, held_out, peaks in scored:
        inside = list(_within(held_out, (annotated.points_vox, peaks.above(threshold).points_vox)))
        scores = marker_scores(
            inside[1],
            inside[0],
            spacing=annotated.spacing,
            distance=annotated.look.radius / min(annotated.spacing),
        )
        matched = round(scores.recall * len(inside[0])) if len(inside[0]) else 0
        apart, _ = cKDTree(annotated.points_vox * annotated.spacing).query(inside[1] * annotated.spacing)
        hits += matched
        found += matched + int((apart > annotated.look.radius).sum())
        true += len(inside[0])
    return hits, found, true


def _within(mask: NDArray[np.bool_], points: tuple[NDArray[np.float64], ...]) -> Iterator[NDArray[np.float64]]:
    for each in points:
        yield each[mask[tuple(nearest_voxels(each, shape=mask.shape).T)]]
