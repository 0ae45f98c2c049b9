"""Objects from boxes of all and masks of a few: this package, with more and fewer masks, and Otsu in the true boxes.

    python benchmarks/boxes_table.py DATA [--minutes 15] [--seeds 3] [--rows TEXT ...] [--cases TEXT ...]
                                     [--out results/boxes.json]

Boxes are the tight ones of the true objects. Cases: "few" (masks of a fifth of the objects, drawn by the seed), "all",
"none", "patch" (boxes and masks in one contiguous end of each volume only, which costs as much time as boxes of all and
masks of a fifth), "paper" (the preset). The file is rewritten after every run, and goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

import napari_weak3d as weak3d
from napari_weak3d import workflow
from napari_weak3d.metrics import box_scores, compact_ids, instance_scores
from napari_weak3d.samples import draw_boxes, make_blobs
from napari_weak3d.samples.optics import Optics
from napari_weak3d.types import AXES, Boxes, IntLabels, Region, Sample, Volume
from record import (
    RESULTS,
    Record,
    add_training_options,
    attempt,
    markdown,
    run_in_child,
    training_settings,
    with_range,
)
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
class Case:
    """How many masks there are, where boxes are, and which settings are changed."""

    fraction: float = FRACTION
    contiguous: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "few": Case(),
    "all": Case(fraction=1.0),
    "none": Case(fraction=0.0),
    "patch": Case(fraction=1.0, contiguous=True),
    "paper": Case(settings={"preset": "paper"}),
}


@dataclass(frozen=True)
class Piece:
    """A part of a volume, its truth, and the ids of objects that do not count."""

    volume: Volume
    truth: IntLabels
    ignored: NDArray[np.int32]


def main() -> None:
    options = read_options()
    record = Record(options.out, what="objects from boxes of all and masks of a few")
    settings = training_settings(options)
    tasks = [task for task in TASKS if not options.rows or any(text in task.name for text in options.rows)]
    failed = [title for title, run in plan_runs(options, tasks, record, settings) if not attempt(title, run)]
    print(report(record, tasks))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names of tasks")
    parser.add_argument("--cases", nargs="*", default=["few", "all", "patch"], choices=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "boxes.json")
    add_training_options(parser, minutes=15)
    return parser.parse_args()


def plan_runs(
    options: argparse.Namespace, tasks: list[Task], record: Record, settings: dict[str, Any]
) -> list[tuple[str, Callable[[], None]]]:
    """List what is still to do, with a title each: what needs no training first, then ours seed by seed."""
    runs: list[tuple[str, Callable[[], None]]] = [
        (f"{task.name}, otsu", partial(run_otsu, options.data, task, record=record))
        for task in tasks
        if record.get("tasks", task.name, "otsu in true boxes") is None
    ]
    for seed in range(options.seeds):
        for task in tasks:
            for case in options.cases:
                done = record.get("tasks", task.name, case, str(seed))
                if done is None or done["settings"] != settings:
                    run = partial(run_ours, options.data, task, case, seed=seed, record=record, settings=settings)
                    runs.append((f"{task.name}, {case}, seed {seed}", run))
    return runs


def run_ours(data: Path, task: Task, case: str, *, seed: int, record: Record, settings: dict[str, Any]) -> None:
    figures = run_in_child(train_and_score, data, task, CASES[case], {**settings, "seed": seed})
    record.put("tasks", task.name, case, str(seed), value={"settings": settings, **figures})


def train_and_score(data: Path, task: Task, case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """Train on the parts to learn from, score each part to be found."""
    rng = np.random.default_rng(settings["seed"])
    samples = [annotate(read(data, part, task=task), case, rng=rng) for part in task.learn]
    config = weak3d.load_config("boxes").from_settings({**settings, **case.settings})
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        out = Path(folder) / "model"
        weak3d.follow(workflow.train("boxes", samples, config=config, out=out))
        figures["train_s"] = round(time.perf_counter() - start, 1)
        for part in task.find:
            piece = read(data, part, task=task)
            start = time.perf_counter()
            prediction = weak3d.follow(workflow.segment(out, piece.volume))
            seconds = round(time.perf_counter() - start, 1)
            figures[part.name] = score(prediction.labels, piece) | {"segment_s": seconds}
    return figures


def annotate(piece: Piece, case: Case, *, rng: np.random.Generator) -> Sample:
    """Box the objects of a piece, and mask some."""
    boxes = draw_boxes(piece.truth, rng=rng, fraction=case.fraction)
    if case.fraction == 0:
        return Sample(piece.volume, replace(boxes, masks=None, has_mask=np.zeros(len(boxes.corners), bool)))
    if not case.contiguous:
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


def run_otsu(data: Path, task: Task, *, record: Record) -> None:
    """What boxes alone give with perfect boxes: what is brighter than Otsu's threshold of its box."""
    figures = {}
    for part in task.find:
        piece = read(data, part, task=task)
        sigma = min(piece.volume.spacing) / np.array(piece.volume.spacing)
        image = ndimage.gaussian_filter(np.asarray(piece.volume.data[0], np.float32), sigma)
        found = np.zeros(piece.truth.shape, np.int32)
        for number, box in enumerate(ndimage.find_objects(piece.truth), start=1):
            if box is not None and image[box].min() < image[box].max():
                found[box][(image[box] > threshold_otsu(image[box])) & (found[box] == 0)] = number
        figures[part.name] = score(found, piece)
    record.put("tasks", task.name, "otsu in true boxes", value=figures)


def score(found: IntLabels, piece: Piece) -> dict[str, float]:
    """Detection F1 of the objects' boxes (IoU above 0.4), F1 and SEG of the objects; ignored objects count nowhere."""
    ignore = np.isin(piece.truth, piece.ignored)
    truth = np.where(ignore, 0, piece.truth)
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


def report(record: Record, tasks: list[Task]) -> str:
    """A line per task, volume and case."""
    lines = []
    for task in tasks:
        for case, runs in (record.get("tasks", task.name) or {}).items():
            for name in dict.fromkeys(part.name for part in task.find):
                found = [runs[name]] if name in runs else [run[name] for run in runs.values() if name in run]
                lines.append(
                    [task.name, name, case, *(with_range([each[figure] for each in found]) for figure in FIGURES)]
                )
    return markdown(["task", "volume", "case", "detection F1", "F1", "SEG"], lines)


if __name__ == "__main__":
    main()
