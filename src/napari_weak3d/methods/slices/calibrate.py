"""What held-out slices decide: the score, how readily a class is given, and how far neighbouring paint is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.neighbours import Gap, Stack, count_likelihoods, find_gap, look_up
from napari_weak3d.nn.warp import UNLABELLED

_BIASES = np.linspace(-2, 2, 17)
"""Added to a class's log-probability; 2 moves a threshold of 0.5 to 0.12."""
_BIAS_COST = 0.004
"""IoU that a bias must gain per unit: few slices are held out, a small gain may be chance (ours)."""
_WEIGHT_STEPS = 4
_TOLERANCE = 0.01
"""IoU that stand-ins for paint may cost before the paint itself is trusted less (ours)."""
_GAPS_TRIED = 4


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A plane that its predictor did not learn from.

    Attributes
    ----------
    plane
        Its index.
    log_probabilities
        (K, Y, X) float32.
    truth
        (Y, X) indices of classes, or ``UNLABELLED``.
    dense
        (Z, Y, X) int32: the same predictor's classes on the whole stack.
    """

    plane: int
    log_probabilities: NDArray[np.float32]
    truth: NDArray[np.int16]
    dense: NDArray[np.int32]

    def shifted(self, biases: NDArray[np.float32]) -> HeldOut:
        """The same with biases (K,) added."""
        return replace(self, log_probabilities=self.log_probabilities + biases[:, None, None])


def mean_iou(
    predicted: Sequence[NDArray[np.integer]], truths: Sequence[NDArray[np.integer]], *, n_classes: int
) -> float:
    """IoU over all planes together, averaged over the classes but the first; unlabelled voxels left out.

    A class that is neither there nor predicted does not count; nan where no class counts.
    """
    both, either = np.zeros(n_classes), np.zeros(n_classes)
    for guess, truth in zip(predicted, truths, strict=True):
        known = truth != UNLABELLED
        table = np.bincount(guess[known] * n_classes + truth[known], minlength=n_classes**2).reshape(n_classes, -1)
        both += np.diag(table)
        either += table.sum(0) + table.sum(1) - np.diag(table)
    counted = either[1:] > 0
    return float((both[1:][counted] / either[1:][counted]).mean()) if counted.any() else float("nan")


def choose_biases(held_out: Sequence[HeldOut], *, n_classes: int) -> NDArray[np.float32]:
    """Choose what to add to each class's log-probability so that the held-out IoU is best.

    Each class in turn, the others as they are; neighbouring biases are averaged, so that a peak of one does not win.

    Returns
    -------
    (K,) float32; the first is 0, and so is that of a class that no held-out plane shows: not finding it would score
    best.
    """
    biases = np.zeros(n_classes, np.float32)
    truths = [item.truth for item in held_out]
    shown = [index for index in range(1, n_classes) if any((truth == index).any() for truth in truths)]
    for index in shown:
        scores = []
        for bias in _BIASES:
            trial = biases.copy()
            trial[index] = bias
            guesses = [(item.log_probabilities + trial[:, None, None]).argmax(0) for item in held_out]
            scores.append(mean_iou(guesses, truths, n_classes=n_classes))
        smooth = np.convolve(np.pad(scores, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        biases[index] = _BIASES[int(np.argmax(smooth - _BIAS_COST * np.abs(_BIASES)))]
    return biases


def choose_paint_weight(
    held_out: Sequence[HeldOut],
    *,
    painted: Sequence[int],
    depth: int,
    n_classes: int,
    spacing: tuple[float, float],
    largest: float,
    rng: np.random.Generator,
) -> float:
    """Choose how far neighbouring paint is trusted, at the distances at which it will be used.

    Paint near a held-out slice there is none, so held-out predictions stand in for it: they carry the network's
    errors, and some loss is their fault. The largest weight is taken at which they cost next to nothing; where
    slices change faster than the network sees, they cost much, and the weight falls.

    Parameters
    ----------
    held_out
        Planes with their predictions.
    painted
        The complete planes of the stack.
    depth
        Planes of the stack.
    largest
        The weight to begin with.
    """
    truths, plain, trials = [], [], []
    for item in held_out:
        stack = Stack(item.dense, n_classes=n_classes, spacing=spacing)
        for gap in _gaps_in_use(painted, depth=depth, rng=rng):
            # Where the stack ends within the gap, nothing can stand in for paint.
            if (gap.before or 0) <= item.plane < len(stack) - (gap.after or 0):
                likelihoods = count_likelihoods(stack, gap=gap, rng=rng)
                evidence = look_up(likelihoods, stack.across(item.plane, gap))
                truths.append(item.truth)
                plain.append(item.log_probabilities)
                trials.append(evidence)

    def score(weight: float) -> float:
        guesses = [(own + weight * other).argmax(0) for own, other in zip(plain, trials, strict=True)]
        return mean_iou(guesses, truths, n_classes=n_classes)

    # Planes of background alone cannot tell either.
    if largest == 0 or not any((truth > 0).any() for truth in truths):
        return largest
    least = score(0) - _TOLERANCE
    weights = np.linspace(largest, 0, _WEIGHT_STEPS + 1)
    return float(next((weight for weight in weights if score(weight) >= least), 0.0))


def _gaps_in_use(painted: Sequence[int], *, depth: int, rng: np.random.Generator) -> list[Gap]:
    """Some of the gaps around the planes that are not painted."""
    found = {find_gap(plane, painted) for plane in range(depth) if plane not in painted}
    # Without any complete plane there is no paint to either side, and no evidence to weigh.
    gaps = sorted(found - {Gap(None, None)}, key=str)
    return [gaps[index] for index in sorted(rng.permutation(len(gaps))[:_GAPS_TRIED])]
