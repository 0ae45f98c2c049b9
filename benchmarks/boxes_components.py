"""Objects from maps of their inside and foreground: components of the one, grown back to the other.

    python benchmarks/boxes_components.py DATA [--rows TEXT ...]

says what is lost where such maps are free of mistakes: objects whose inside is in pieces or not there at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from boxes_tasks import FIGURES, TASKS, Piece, annotate, read, score
from napari_weak3d.methods.boxes.components import Rule, grow_components
from napari_weak3d.methods.boxes.dense import INSIDE, find_flat, mark_classes
from napari_weak3d.methods.boxes.scheme import measure_drawn
from napari_weak3d.types import Boxes, IntLabels
from record import markdown, three

Maps = NDArray[np.float32]
"""(2, Z, Y, X): probability of inside, and of foreground, which is inside or boundary."""


class Thresholds(NamedTuple):
    """What makes objects of maps.

    Attributes
    ----------
    inside
        Components are of voxels above this.
    foreground
        They grow back to voxels above this.
    speck
        Smaller components are dropped, as a share of the typical object's voxels.
    """

    inside: float = 0.5
    foreground: float = 0.5
    speck: float = 0.03


USUAL = Thresholds()
CHOICES = Thresholds(
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),  # type: ignore[arg-type]  # of each threshold
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),  # type: ignore[arg-type]
    (0.003, 0.01, 0.03, 0.1, 0.2, 0.3),  # type: ignore[arg-type]
)
_ROUNDS = 2
"""How often each threshold is chosen anew, the others being as they are."""


def make_objects(maps: Maps, thresholds: Thresholds, *, typical_vox: float) -> IntLabels:
    """Make objects as ours does of its own maps."""
    inside, foreground, speck = thresholds
    return grow_components(maps, Rule(inside, speck, typical_vox, foreground))


@dataclass(frozen=True, eq=False)
class Seen:
    """Maps of a volume or a part of one, and its truth."""

    maps: Maps
    piece: Piece


def choose_thresholds(occasions: Sequence[Sequence[Seen]], *, typical_vox: float) -> Thresholds:
    """Choose what gives the best figures, those of the table, averaged; each occasion counts alike, as in ours.

    One threshold at a time; it stays what it is unless another is better.
    """
    counted = [[seen for seen in each if score(seen.piece.truth, seen.piece)["n_true"]] for each in occasions]

    @cache
    def judge(thresholds: Thresholds) -> float:
        means = []
        for each in filter(None, counted):
            scores = [score(make_objects(seen.maps, thresholds, typical_vox=typical_vox), seen.piece) for seen in each]
            figures = [np.mean([found[figure] for figure in FIGURES]) for found in scores]
            means.append(np.average(figures, weights=[found["n_true"] for found in scores]))
        return float(np.mean(means)) if means else 0.0

    best = USUAL
    for _ in range(_ROUNDS):
        for name, choices in CHOICES._asdict().items():
            best = max([best, *(best._replace(**{name: choice}) for choice in choices)], key=judge)
    return best


def make_true_maps(ids: IntLabels, *, flat: Sequence[int] = ()) -> Maps:
    """Tell the maps of a network that makes no mistake."""
    classes = mark_classes(torch.from_numpy(ids.astype(np.int64))[None], flat=flat)[0].numpy()
    return np.stack([classes == INSIDE, classes > 0]).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names of tasks")
    options = parser.parse_args()
    lines = []
    for task in TASKS:
        if options.rows and not any(text in task.name for text in options.rows):
            continue
        for part in (*task.learn, *task.find):
            figures = score_true_maps(read(options.data, part, task=task))
            lines.append([task.name, part.name, *(three(figures[figure]) for figure in FIGURES)])
    print(markdown(["task", "volume", "detection F1", "F1", "SEG"], lines))


def score_true_maps(piece: Piece) -> dict[str, float]:
    """Score what the true maps of a piece give, with the thresholds that nobody has chosen."""
    boxes = annotate(piece, fraction=1.0, contiguous=False, rng=np.random.default_rng(0)).annotation
    assert isinstance(boxes, Boxes)
    typical, _ = measure_drawn([boxes])
    maps = make_true_maps(piece.truth, flat=find_flat(typical))
    typical_vox = float(np.median(np.bincount(piece.truth.ravel())[1:]))
    return score(make_objects(maps, USUAL, typical_vox=typical_vox), piece)


if __name__ == "__main__":
    main()
