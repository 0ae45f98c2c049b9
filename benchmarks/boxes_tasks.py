"""What the table of boxes is made of: its tasks, what is drawn of them, and how what is found is scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.metrics import box_scores, compact_ids, instance_scores
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.samples import draw_boxes, make_blobs
from napari_weak3d.samples.optics import Optics
from napari_weak3d.types import AXES, Boxes, IntLabels, Region, Sample, Volume
from volumes import Row, load

FRACTION = 0.2
BOXES_PER_MASK = 30
"""Boxes that an expert draws in the time of one mask (Zhao et al. 2018)."""
FIGURES = ("detection_f1", "f1", "seg")


@dataclass(frozen=True)
class Part:
    """A volume, or the part of it from ``low`` to ``high`` along an axis; ``seed`` makes a synthetic one instead."""

    name: str
    axis: int = 0
    low: float = 0.0
    high: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Task:
    """What is learned from, what is segmented.

    Attributes
    ----------
    least_depth
        Objects with fewer slices are not scored.
    """

    name: str
    learn: tuple[Part, ...]
    find: tuple[Part, ...]
    least_depth: int = 1


TASKS = (
    Task(
        "gland",
        (Part("gland-2017-12-04_1a"), Part("gland-2017-12-04_3a")),
        (Part("gland-2018-04-10_2a"), Part("gland-2019-01-15_2a")),
    ),
    Task("ovule", (Part("ovule-nuclei-1135", 1, 0.0, 0.5),), (Part("ovule-nuclei-1135", 1, 0.5, 1.0),)),
    Task("synthetic", (Part("touching cells", seed=1),), (Part("touching cells", seed=2),)),
    Task("mito", (Part("brain-em-mito-a", 2, 0.0, 0.5),), (Part("brain-em-mito-a", 2, 0.5, 1.0),), least_depth=3),
)


@dataclass(frozen=True)
class Piece:
    """A part of a volume, its truth, and the ids of objects that do not count."""

    volume: Volume
    truth: IntLabels
    ignored: NDArray[np.int32]


def read(data: Path, part: Part, *, task: Task) -> Piece:
    """Read a part; objects that its faces cut inside the volume, and too flat ones, do not count."""
    volume, truth = make_synthetic(part.seed) if part.seed is not None else read_whole(data, part.name)
    size = truth.shape[part.axis]
    low, high = round(part.low * size), round(part.high * size)
    cut = np.array([slice(None)] * 3)
    cut[part.axis] = slice(low, high)
    inside = truth[tuple(cut)]
    cut_faces = [np.take(inside, face, axis=part.axis) for face, at in ((0, low), (-1, high)) if at not in (0, size)]
    crossing = set(np.unique(np.concatenate([face.ravel() for face in cut_faces])).tolist()) if cut_faces else set()
    flat = {
        number + 1
        for number, box in enumerate(ndimage.find_objects(truth))
        if box is not None and box[0].stop - box[0].start < task.least_depth
    }
    ignored = np.array(sorted((crossing | flat) - {0}), np.int32)
    data_inside = np.asarray(volume.data[(slice(None), *cut)])
    return Piece(replace(volume, data=data_inside), np.ascontiguousarray(inside), ignored)


def read_whole(data: Path, name: str) -> tuple[Volume, IntLabels]:
    whole = load(data, Row(name))
    return whole.volume, whole.truth


def make_synthetic(seed: int) -> tuple[Volume, IntLabels]:
    """About 200 touching cells, planes twice as far apart as pixels, dim and noisy."""
    made = make_blobs(
        np.random.default_rng(seed),
        shape=(40, 160, 160),
        spacing=(1.0, 0.5, 0.5),
        diameter_um=9.0,
        fill=0.3,
        touching=0.8,
        optics=Optics(photons=5.0, background=0.15),
        name=f"touching cells {seed}",
    )
    return made.volume, made.labels


def annotate(piece: Piece, *, fraction: float, contiguous: bool, rng: np.random.Generator) -> Sample:
    """Box the objects of a piece, and mask some; ``contiguous``: only those of one end of it."""
    boxes = draw_boxes(piece.truth, rng=rng, fraction=fraction)
    if fraction == 0:
        return Sample(piece.volume, replace(boxes, masks=None, has_mask=np.zeros(len(boxes.corners), bool)))
    if not contiguous:
        return Sample(piece.volume, boxes)
    region = choose_patch(boxes, piece.volume)
    middles = boxes.corners.mean(axis=1)
    low, high = np.array(region).T
    rows = np.flatnonzero(((middles >= low) & (middles < high)).all(axis=1))
    numbers = np.zeros(len(boxes.corners) + 1, np.int32)
    numbers[rows + 1] = np.arange(1, len(rows) + 1)
    assert boxes.masks is not None
    kept = Boxes(boxes.corners[rows], boxes.classes[rows], numbers[boxes.masks], np.ones(len(rows), bool))
    return Sample(piece.volume, kept, region)


def choose_patch(boxes: Boxes, volume: Volume) -> Region:
    """Choose the end of a volume, along the axis over which objects spread most, that costs as much to mask fully."""
    share = (FRACTION * BOXES_PER_MASK + 1) / BOXES_PER_MASK
    middles = boxes.corners.mean(axis=1)
    axis = int((np.ptp(middles, axis=0) * volume.spacing).argmax())
    cut = int(np.ceil(np.quantile(middles[:, axis], share)))
    z, y, x = ((0, cut) if number == axis else (0, size) for number, size in enumerate(volume.shape))
    return z, y, x


def paint_fully(piece: Piece, sample: Sample) -> IntLabels:
    """Paint the place where boxes are complete, all of it: what a contiguous part with full masks shows.

    Returns
    -------
    (Z, Y, X) int32: the boxed objects as the rows of their boxes + 1, higher numbers for what reaches into the place
    from beyond, 0 for the background; ``UNLABELLED`` outside of the place.
    """
    assert isinstance(sample.annotation, Boxes)
    assert sample.annotation.masks is not None
    boxed = sample.annotation.masks
    others, _ = compact_ids(np.where(boxed > 0, 0, piece.truth))
    ids = np.where(others > 0, others + len(sample.annotation.corners), boxed).astype(np.int32)
    if sample.region is None:
        return ids
    painted = np.full(ids.shape, UNLABELLED, np.int32)
    inside = tuple(slice(low, high) for low, high in sample.region)
    painted[inside] = ids[inside]
    return painted


def score(found: IntLabels, piece: Piece) -> dict[str, float]:
    """Detection F1 of the objects' boxes (IoU above 0.4), F1 and SEG of the objects; ignored objects count nowhere."""
    ignore = np.isin(piece.truth, piece.ignored)
    truth = np.where(ignore, 0, piece.truth)
    found, _ = compact_ids(found)
    # What was found is ignored where most of it lies on ignored objects.
    shares = ndimage.mean(ignore, found, np.arange(1, found.max() + 1)) if found.max() else np.zeros(0)
    dropped = np.flatnonzero(np.asarray(shares) > 0.5) + 1
    kept = np.where(np.isin(found, dropped), 0, found)
    scores = instance_scores(kept, truth, ignore=ignore)
    return {
        "detection_f1": box_scores(tight_boxes(kept), tight_boxes(truth)).f1,
        "f1": scores.f1,
        "seg": scores.seg,
        "n_true": scores.n_true,
        "n_found": scores.n_predicted,
    }


def tight_boxes(labels: IntLabels) -> NDArray[np.int64]:
    compact, _ = compact_ids(labels)
    corners = [[[s.start for s in box], [s.stop for s in box]] for box in ndimage.find_objects(compact)]
    return np.array(corners, np.int64).reshape(-1, 2, len(AXES))
