"""Scoring a training on the slices it held out, and deciding by them what the paint alone cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.calibrate import HeldOut, choose_biases, choose_paint_weight, mean_iou
from napari_weak3d.methods.slices.config import Network
from napari_weak3d.methods.slices.instances import PaintedView, choose_settings
from napari_weak3d.methods.slices.learner import Learner
from napari_weak3d.methods.slices.neighbours import COUNTED_SIDE
from napari_weak3d.methods.slices.scheme import Calibration
from napari_weak3d.methods.slices.targets import as_object_maps, paint_planes
from napari_weak3d.nn.paper_unet import MARGIN
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.types import IntLabels, Slices

_LEAST = 1e-6
"""Probabilities are not taken for less."""
_WINDOW = 24
"""Planes to each side of a held-out one that show how alike slices are."""
_MOST_SCORED = 12
"""Held-out planes that are predicted: more decide the same, and take the time and memory of training (ours)."""


def default_calibration(learner: Learner) -> Calibration:
    """What holds as long as nothing was held out."""
    return Calibration((0.0,) * learner.scheme.n_classes, learner.config.paint_weight)


def calibrate(learner: Learner, *, is_late: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, int]]:
    """Predict the held-out slices, score them, and set the learner's calibration.

    Of more than twelve, twelve are taken, evenly from all members.

    Parameters
    ----------
    learner
        After the training of its members without the slices that they hold out.
    is_late
        Asked before each slice but the first: whether those scored so far have to do.

    Yields
    ------
    (done, total)
        Held-out slices; after each tile of a prediction, so that no command waits for long.
    """
    todo = [
        (number, sample, plane)
        for number, held_out in enumerate(learner.held_out)
        for sample, planes in enumerate(held_out)
        for plane in planes
        if learner.members[number].steps > 0
    ]
    if len(todo) > _MOST_SCORED:
        todo = [todo[index] for index in np.linspace(0, len(todo) - 1, _MOST_SCORED).round().astype(int)]
    found: list[_Found] = []
    for done, (number, sample, plane) in enumerate(todo):
        if found and is_late():
            break
        prediction = _predict_held_out(learner, number, sample=sample, plane=plane, state=(done, len(todo)))
        found.append((yield from prediction))
    if found:
        learner.calibration, learner.is_scored = _decide(learner, found), True


@dataclass(frozen=True, eq=False)
class _Found:
    """A held-out plane of a sample; where objects are painted, with its paint and all outputs around it."""

    sample: int
    held_out: HeldOut
    paint: IntLabels | None = None
    outputs: NDArray[np.float32] | None = None


def _predict_held_out(
    learner: Learner, number: int, *, sample: int, plane: int, state: tuple[int, int]
) -> Generator[tuple[int, int], None, _Found]:
    """Predict a window of planes around a held-out one with the member that did not see it; yields ``state``."""
    view = learner.views[sample]
    lo, hi = max(0, plane - _WINDOW), min(view.shape[1], plane + _WINDOW + 1)
    # What an unpadded network sees beyond the window is real, as in use, not the window mirrored.
    margin = MARGIN if learner.config.network is Network.PAPER else 0
    first, last = max(0, lo - margin), min(view.shape[1], hi + margin)
    half = COUNTED_SIDE // 2
    rows, columns = (slice(max(0, side // 2 - half), side // 2 + half) for side in view.shape[2:])
    cropped = SlabView(view.image[:, :, rows, columns], view.offsets)
    ensemble = learner.ensemble([learner.members[number].averaged])
    out = np.empty((ensemble.n_outputs(), last - first, *cropped.shape[2:]), np.float32)
    for _ in ensemble.predict(_Window(cropped, first, last), out=out):
        yield state
    out = out[:, lo - first : hi - first]
    probabilities = out[: learner.scheme.n_classes]
    held_out = HeldOut(
        plane=plane - lo,
        log_probabilities=np.log(probabilities[:, plane - lo] + _LEAST),
        truth=learner.targets[sample].labels[plane, rows, columns],
        dense=probabilities.argmax(0).astype(np.int32),
    )
    if learner.scheme.paint == "classes":
        return _Found(sample, held_out)  # the outputs, several times as large, can go
    annotation = learner.samples[sample].annotation
    assert isinstance(annotation, Slices)
    is_complete = plane in learner.targets[sample].complete
    paint = paint_planes(annotation, stack_axis=learner.scheme.stack_axis)[plane] if is_complete else None
    return _Found(sample, held_out, None if paint is None else paint[rows, columns], out)


class _Window:
    """Planes lo to hi of a slab view, their slabs still reaching beyond."""

    def __init__(self, view: SlabView, lo: int, hi: int) -> None:
        self._view, self._lo, self._hi = view, lo, hi
        self.shape = (view.shape[0], hi - lo, *view.shape[2:])

    def __getitem__(self, where: tuple[slice, slice, slice, slice]) -> NDArray[np.float32]:
        start, stop, _ = where[1].indices(self._hi - self._lo)
        return self._view[where[0], self._lo + start : self._lo + stop, where[2], where[3]]


def _decide(learner: Learner, found: Sequence[_Found]) -> Calibration:
    if learner.scheme.paint == "objects":
        return _decide_objects(learner, found)
    n_classes = learner.scheme.n_classes
    held_out = [item.held_out for item in found]
    biases = choose_biases(held_out, n_classes=n_classes)
    shifted = [item.shifted(biases) for item in held_out]
    weight = choose_paint_weight(
        shifted,
        painted=learner.targets[found[0].sample].complete,
        depth=learner.views[found[0].sample].shape[1],
        n_classes=n_classes,
        spacing=learner.scheme.stacked(learner.samples[0].volume.spacing)[1:],
        largest=learner.config.paint_weight,
        rng=np.random.default_rng(learner.config.seed),
    )
    return Calibration(tuple(map(float, biases)), weight, held_out_iou=_score(shifted, n_classes=n_classes))


def _decide_objects(learner: Learner, found: Sequence[_Found]) -> Calibration:
    """Score the foreground, and let held-out planes choose how maps become objects."""
    foregrounds = [_as_foreground(item.held_out) for item in found]
    biases = choose_biases(foregrounds, n_classes=2)
    score = _score([item.shifted(biases) for item in foregrounds], n_classes=2)
    bias = (0.0, float(biases[1]), float(biases[1]))
    views = [
        PaintedView(as_object_maps(item.outputs, biases=bias), item.held_out.plane, item.paint)
        for item in found
        if item.paint is not None and item.outputs is not None
    ]
    spacing = learner.scheme.stacked(learner.samples[0].volume.spacing)
    return Calibration(bias, 0.0, choose_settings(views, spacing=spacing), held_out_iou=score)


def _as_foreground(item: HeldOut) -> HeldOut:
    """Background against all else."""
    background, *others = np.exp(item.log_probabilities)
    two = np.log(np.stack([background, np.sum(others, axis=0)]) + _LEAST)
    return HeldOut(item.plane, two, item.truth.clip(max=1), item.dense.clip(max=1))


def _score(held_out: Sequence[HeldOut], *, n_classes: int) -> float | None:
    """Mean IoU; None where only background is there and found."""
    guesses = [item.log_probabilities.argmax(0) for item in held_out]
    score = mean_iou(guesses, [item.truth for item in held_out], n_classes=n_classes)
    return None if np.isnan(score) else score
