"""What a user has without us: a random forest on multi-scale image features, as pixel classifiers train it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from sklearn.ensemble import RandomForestClassifier

from napari_weak3d.types import Spacing

SCALES = (0.7, 1.0, 1.6, 3.5, 5.0)
"""Standard deviations of the filters, pixels of the plane (those that ilastik and Labkit offer)."""
MOST_VOXELS = 60_000
"""Painted voxels that are trained on."""
FOLDS = 3
"""Groups in which painted slices are left out: one by one up to three."""


@dataclass(frozen=True)
class ForestResult:
    """A trained forest's answer.

    Attributes
    ----------
    probability
        (Z, Y, X) float32: of the object class, everywhere.
    left_out
        The painted slices (Z', Y, X) as forests see them that were not shown them; None with one painted slice.
    balanced
        Whether classes were weighed by their rarity.
    held_out_iou
        Of the left-out slices, of both choices.
    seconds, seconds_choosing
        Features, training and prediction; and what the choice took beside that.
    """

    probability: NDArray[np.float32]
    left_out: NDArray[np.float32] | None
    balanced: bool
    held_out_iou: dict[str, float]
    seconds: float
    seconds_choosing: float


def segment_by_forest(
    image: NDArray[np.float32], painted: NDArray[np.bool_], *, slices: Sequence[int], spacing: Spacing
) -> ForestResult:
    """Train on painted z slices and predict all.

    Parameters
    ----------
    image
        (Z, Y, X).
    painted
        (Z, Y, X) bool: object or not; only ``slices`` are looked at.
    slices
        The painted z slices, ascending.
    spacing
        Size of a voxel; filters are as wide along z as in the plane.

    Notes
    -----
    Whether classes are balanced is chosen by leaving out painted slices.
    """
    start = time.perf_counter()
    features = make_features(image, spacing=spacing)
    shown, truth = features[list(slices)], painted[list(slices)]
    made = time.perf_counter()
    left_out = {name: _leave_out(shown, truth, weight=weight) for name, weight in _WEIGHTS.items()}
    scores = {name: _iou(guess > 0.5, truth) for name, guess in left_out.items() if guess is not None}
    best = max(scores, key=lambda name: scores[name], default="balanced")
    chosen = time.perf_counter()
    forest = _fit(shown, truth, weight=_WEIGHTS[best])
    probability = _predict(forest, features)
    seconds = (made - start) + (time.perf_counter() - chosen)
    return ForestResult(probability, left_out[best], best == "balanced", scores, seconds, chosen - made)


def make_features(image: NDArray[np.float32], *, spacing: Spacing) -> NDArray[np.float32]:
    """(Z, Y, X) -> (Z, Y, X, 16): the image, and at five scales smoothed, its Laplacian and its gradient's norm."""
    standard = (image - image.mean()) / (image.std() + 1e-6)
    ratio = np.asarray(spacing) / spacing[-1]
    features = [standard]
    for scale in SCALES:
        sigma = scale / ratio
        features += [
            ndi.gaussian_filter(standard, sigma),
            ndi.gaussian_laplace(standard, sigma),
            ndi.gaussian_gradient_magnitude(standard, sigma),
        ]
    return np.stack(features, axis=-1)


_WEIGHTS = {"balanced": "balanced", "plain": None}


def _leave_out(
    features: NDArray[np.float32], truth: NDArray[np.bool_], *, weight: str | None
) -> NDArray[np.float32] | None:
    """Predict each painted slice by a forest that has not seen it; None if there is only one."""
    folds = min(FOLDS, len(truth))
    if folds < 2:
        return None
    guess = np.zeros(truth.shape, dtype=np.float32)
    fold_of = np.arange(len(truth)) % folds
    for fold in range(folds):
        out = fold_of == fold
        guess[out] = _predict(_fit(features[~out], truth[~out], weight=weight), features[out])
    return guess


def _fit(features: NDArray[np.float32], truth: NDArray[np.bool_], *, weight: str | None) -> RandomForestClassifier:
    rows, values = features.reshape(-1, features.shape[-1]), truth.ravel()
    some = np.random.default_rng(0).choice(len(values), min(MOST_VOXELS, len(values)), replace=False)
    forest = RandomForestClassifier(100, n_jobs=1, random_state=0, min_samples_leaf=2, class_weight=weight)
    return forest.fit(rows[some], values[some])


def _predict(forest: RandomForestClassifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(Z, Y, X, F) -> (Z, Y, X), slice by slice: all at once would need gigabytes."""
    classes = list(forest.classes_)
    if True not in classes:
        return np.zeros(features.shape[:-1], dtype=np.float32)
    flat = [forest.predict_proba(plane.reshape(-1, plane.shape[-1]))[:, classes.index(True)] for plane in features]
    return np.stack(flat).reshape(features.shape[:-1]).astype(np.float32)


def _iou(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(guess | truth)
    return np.count_nonzero(guess & truth) / union if union else 1.0
