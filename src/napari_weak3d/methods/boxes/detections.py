"""Boxes that the network found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_weak3d.methods.boxes.coding import decode
from napari_weak3d.methods.boxes.geometry import find_centres
from napari_weak3d.methods.boxes.suppress import suppress

_SAME_PLACE_VOX = 0.01
"""Anchors of one location are centred alike but for rounding."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Found boxes: boxes (N, 2, 3) float, voxels; scores (N,) in 0..1; classes (N,) int64, >= 1."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: Tensor) -> Detections:
        """Give some of them, by row numbers or by a mask."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows])

    def moved(self, by: Sequence[float]) -> Detections:
        """Shift all boxes by (z, y, x) voxels."""
        return Detections(self.boxes + self.boxes.new_tensor(list(by)), self.scores, self.classes)

    def suppressed(self, *, threshold: float) -> Detections:
        """Keep the best of those of one class that overlap, the highest score first."""
        return self.take(suppress(self.boxes, self.scores, threshold=threshold, classes=self.classes))


def concatenate(parts: Sequence[Detections]) -> Detections:
    """Put detections behind each other; at least one part."""
    return Detections(
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat([part.classes for part in parts]),
    )


@torch.no_grad()
def read_detections(logits: Tensor, offsets: Tensor, *, anchors: Tensor, least_score: float) -> Detections:
    """Read boxes from what the anchors of one image say.

    Parameters
    ----------
    logits, offsets
        (A, c) and (A, 6) float32, class 0 being the background.
    anchors
        (A, 2, 3); those of one location one behind the other.
    least_score
        Least probability of a class; an anchor tells at most one box, of its most probable class.

    Returns
    -------
    Detections, the highest score first, overlapping ones not yet suppressed. There is no limit to their number: each
    object is seen at hundreds of anchors, and with a limit the surest objects would take the place of the others. Of
    the anchors of one location the best of each class counts (ours): that leaves few enough.
    """
    scores, classes = logits.softmax(dim=1)[:, 1:].max(dim=1)
    rows = (scores >= least_score).nonzero()[:, 0]
    rows = rows[_are_best(scores[rows], places=_number_places(anchors)[rows] * logits.shape[1] + classes[rows])]
    rows = rows[scores[rows].argsort(descending=True, stable=True)]
    return Detections(decode(offsets[rows], anchors[rows]), scores[rows], classes[rows] + 1)


def _number_places(anchors: Tensor) -> Tensor:
    """(A,) int64: the number of the location that each of the anchors (A, 2, 3) is centred at."""
    centres = find_centres(anchors)
    moves = ((centres[1:] - centres[:-1]).abs() > _SAME_PLACE_VOX).any(dim=1)
    return torch.cat([moves.new_zeros(1), moves]).cumsum(0) if len(anchors) else moves.long()


def _are_best(scores: Tensor, *, places: Tensor) -> Tensor:
    """(N,) bool: which scores (N,) are the highest of their place (N,)."""
    best = scores.new_zeros(int(places.max()) + 1 if len(places) else 0)
    return scores == best.scatter_reduce(0, places, scores, "amax")[places]
