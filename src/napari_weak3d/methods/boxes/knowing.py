"""What was drawn, where a volume of the training is segmented: it need not be found."""

from __future__ import annotations

import numpy as np
import torch

from napari_weak3d.methods.boxes.detections import Detections, concatenate
from napari_weak3d.methods.boxes.geometry import box_iou
from napari_weak3d.methods.boxes.scheme import KnownBoxes, Scheme
from napari_weak3d.methods.boxes.volumes import have_centres_in

_SURE = 0.8
"""A box with at least this score is of an object that was forgotten, even where all were boxed (ours)."""


def add_known(found: Detections, known: KnownBoxes, *, scheme: Scheme, suppress_iou: float) -> Detections:
    """Let drawn boxes be objects of score 1, and of the found ones only those that are none of them.

    Where boxes are complete, what was found has to be sure. A class that the model does not know is taken for its
    first; :func:`tell_unknown` says so.

    Parameters
    ----------
    suppress_iou
        Boxes that overlap a drawn one by more are that object.
    """
    numbers = {int(value): number for number, value in enumerate(scheme.class_values)}
    drawn = torch.from_numpy(known.boxes.corners).float()
    classes = torch.tensor([numbers.get(int(value), 1) for value in known.boxes.classes], dtype=torch.int64)
    apart = ~(box_iou(found.boxes, drawn) > suppress_iou).any(dim=1)
    if known.region is None:
        inside = torch.ones(len(found), dtype=torch.bool)
    else:
        inside = torch.from_numpy(have_centres_in(found.boxes.numpy().astype(np.float64), known.region))
    kept = found.take(apart & (~inside | (found.scores >= _SURE)))
    return concatenate([Detections(drawn, torch.ones(len(drawn)), classes), kept])


def tell_unknown(known: KnownBoxes, *, scheme: Scheme) -> list[str]:
    """Say of each drawn class that the model does not know what becomes of its boxes; empty where it knows all."""
    values, counts = np.unique(known.boxes.classes, return_counts=True)
    first = scheme.class_values[1]
    return [
        f"{'1 box is' if n == 1 else f'{n} boxes are'} of class {value}, which the model does not know: taken for "
        f"class {first}"
        for value, n in zip(values.tolist(), counts.tolist(), strict=True)
        if value not in scheme.class_values[1:]
    ]
