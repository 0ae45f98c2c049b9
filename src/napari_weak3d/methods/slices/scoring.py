"""Scoring a training on the slices it held out, and deciding by them what the paint alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.calibrate import HeldOut, choose_biases, choose_paint_weight, mean_iou
from napari_weak3d.methods.slices.learner import Learner
from napari_weak3d.methods.slices.scheme import Calibration
from napari_weak3d.methods.slices.targets import BACKGROUND, TOUCH
from napari_weak3d.nn.slabs import SlabView

_SIDE = 512
"""Pixels to which planes are cropped for scoring, about their middle."""
_WINDOW = 24
"""Planes to each side of a held-out one that show how alike slices are."""


def default_calibration(learner: Learner) -> Calibration:
    """What holds as long as nothing was held out."""
    return Calibration((0.0,) * learner.scheme.n_classes, learner.config.paint_weight)


def calibrate(learner: Learner) -> Iterator[tuple[int, int]]:
    """Predict the held-out slices, score them, and set the learner's calibration.

    Yields
    ------
    (done, total)
        Held-out slices.
    """
    todo = [
        (number, sample, plane)
        for number, held_out in enumerate(learner.held_out)
        for sample, planes in enumerate(held_out)
        for plane in planes
        if learner.members[number].steps > 0
    ]
    found: list[tuple[int, HeldOut, NDArray[np.float32]]] = []
    for done, (number, sample, plane) in enumerate(todo, start=1):
        found.append((sample, *_predict_held_out(learner, number, sample=sample, plane=plane)))
        yield done, len(todo)
    if found:
        learner.calibration = _decide(learner, found)


def _predict_held_out(learner: Learner, number: int, *, sample: int, plane: int) -> tuple[HeldOut, NDArray[np.float32]]:
    """Predict a window of planes around a held-out one with the member that did not see it."""
    view = learner.views[sample]
    lo, hi = max(0, plane - _WINDOW), min(view.shape[1], plane + _WINDOW + 1)
    rows, columns = (slice(max(0, (side - _SIDE) // 2), (side + _SIDE) // 2) for side in view.shape[2:])
    cropped = SlabView(view.image[:, :, rows, columns], view.offsets)
    ensemble = learner.ensemble([learner.members[number]])
    out = np.empty((ensemble.n_outputs(), hi - lo, *cropped.shape[2:]), np.float32)
    for _ in ensemble.predict(_Window(cropped, lo, hi), out=out):
        pass
    log_probabilities = np.log(out[: learner.scheme.n_classes] + 1e-6)
    held_out = HeldOut(
        plane=plane - lo,
        log_probabilities=log_probabilities[:, plane - lo],
        truth=learner.targets[sample].labels[plane, rows, columns],
        dense=log_probabilities.argmax(0).astype(np.int32),
    )
    return held_out, out


class _Window:
    """Planes lo to hi of a slab view, their slabs still reaching beyond."""

    def __init__(self, view: SlabView, lo: int, hi: int) -> None:
        self._view, self._lo, self._hi = view, lo, hi
        self.shape = (view.shape[0], hi - lo, *view.shape[2:])

    def __getitem__(self, where: tuple[slice, slice, slice, slice]) -> NDArray[np.float32]:
        start, stop, _ = where[1].indices(self._hi - self._lo)
        return self._view[where[0], self._lo + start : self._lo + stop, where[2], where[3]]


def _decide(learner: Learner, found: Sequence[tuple[int, HeldOut, NDArray[np.float32]]]) -> Calibration:
    scheme, config = learner.scheme, learner.config
    held_out = [item for _, item, _ in found]
    guesses = [item.log_probabilities.argmax(0) for item in held_out]
    truths = [item.truth for item in held_out]
    if scheme.paint == "objects":
        both = [truth.clip(max=1) for truth in truths], [guess.clip(max=1) for guess in guesses]
        score = mean_iou(both[1], both[0], n_classes=2)
        return Calibration(default_calibration(learner).biases, 0.0, held_out_iou=score)
    biases = choose_biases(held_out, n_classes=scheme.n_classes)
    shifted = [
        HeldOut(item.plane, item.log_probabilities + biases[:, None, None], item.truth, item.dense) for item in held_out
    ]
    weight = choose_paint_weight(
        shifted,
        painted=learner.targets[found[0][0]].complete,
        n_classes=scheme.n_classes,
        spacing=scheme.stacked(learner.samples[0].volume.spacing)[1:],
        largest=config.paint_weight,
        rng=np.random.default_rng(config.seed),
    )
    score = mean_iou([item.log_probabilities.argmax(0) for item in shifted], truths, n_classes=scheme.n_classes)
    return Calibration(tuple(float(bias) for bias in biases), weight, held_out_iou=score)


def as_object_maps(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(4, Z, Y, X) background, object, touch, core -> (3, Z, Y, X) foreground, touch, core."""
    return np.stack([1 - outputs[BACKGROUND], outputs[TOUCH], outputs[-1]])
