"""Boxes that the network found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_weak3d.methods.boxes.coding import decode
from napari_weak3d.methods.boxes.suppress import suppress


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
def read_detections(
    logits: Tensor, offsets: Tensor, *, anchors: Tensor, least_score: float, most: int = 1_000_000
) -> Detections:
    """Read boxes from what the anchors of one image say.

    Parameters
    ----------
    logits, offsets
        (A, c) and (A, 6) float32, class 0 being the background.
    anchors
        (A, 2, 3).
    least_score
        Least probability of a class; an anchor tells at most one box, of its most probable class.
    most
        Boxes to keep, the best ones: before it is trained, a network may see one at every anchor. A trained one sees
        each object at hundreds: with few of these, the surest objects would take the place of the others.

    Returns
    -------
    Detections, the highest score first, overlapping ones not yet suppressed.
    """
    scores, classes = logits.softmax(dim=1)[:, 1:].max(dim=1)
    rows = (scores >= least_score).nonzero()[:, 0]
    rows = rows[scores[rows].argsort(descending=True, stable=True)[:most]]
    return Detections(decode(offsets[rows], anchors[rows]), scores[rows], classes[rows] + 1)
