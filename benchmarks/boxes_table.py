"""Objects from boxes of all and masks of a few: this package, a reference with full masks, and Otsu in the true boxes.

    python benchmarks/boxes_table.py DATA [--minutes 15] [--seeds 3] [--rows TEXT ...] [--cases TEXT ...]
                                     [--out results/boxes.json]

Boxes are the tight ones of the true objects. Cases of ours: "few" (masks of a fifth of the objects, drawn by the seed),
"all", "none", "patch" (boxes and masks in one contiguous end of each volume only, which costs as much time as boxes of
all and masks of a fifth), "paper" (the preset). Cases of ``boxes_reference.py``: "reference" (all masks),
"reference-patch" (that same end, fully masked). The file is rewritten after every run, and goes on where it was cut
off. At the end ours, which is "few", stands beside the two references, on the mean of tasks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

import napari_weak3d as weak3d
from boxes_reference import train_reference
from boxes_tasks import FIGURES, FRACTION, TASKS, Task, annotate, paint_fully, read, score
from napari_weak3d import workflow
from napari_weak3d.config import Preset
from napari_weak3d.methods.boxes.config import PRESETS, BoxesConfig
from napari_weak3d.types import IntLabels, Sample, Volume
from record import (
    RESULTS,
    Record,
    add_training_options,
    attempt,
    markdown,
    run_in_child,
    three,
    training_settings,
    with_range,
)


@dataclass(frozen=True)
class Case:
    """How many masks there are, where boxes are, and who learns from them with which settings."""

    fraction: float = FRACTION
    contiguous: bool = False
    reference: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    "few": Case(),
    "all": Case(fraction=1.0),
    "none": Case(fraction=0.0),
    "patch": Case(fraction=1.0, contiguous=True),
    "paper": Case(settings=dict(PRESETS[Preset.PAPER])),
    "reference": Case(fraction=1.0, reference=True),
    "reference-patch": Case(fraction=1.0, contiguous=True, reference=True),
}
DEFAULT_CASES = ("few", "all", "patch", "reference", "reference-patch")
OURS, FULL, EQUAL_TIME = "few", "reference", "reference-patch"
MOST_BELOW = {"detection_f1": 0.0, "f1": 0.02, "seg": 0.02}
"""By how much ours may lie below the reference with full masks: the goal."""
_ROUNDING = 1e-9


def main() -> None:
    options = read_options()
    record = Record(options.out, what="objects from boxes of all and masks of a few")
    settings = training_settings(options)
    tasks = [task for task in TASKS if not options.rows or any(text in task.name for text in options.rows)]
    failed = [title for title, run in plan_runs(options, tasks, record, settings) if not attempt(title, run)]
    print(report(record, tasks))
    print(compare(record, tasks))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names of tasks")
    parser.add_argument("--cases", nargs="*", default=DEFAULT_CASES, choices=CASES)
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
    pieces = [read(data, part, task=task) for part in task.learn]
    samples = [annotate(piece, fraction=case.fraction, contiguous=case.contiguous, rng=rng) for piece in pieces]
    config = BoxesConfig.from_settings({**settings, **case.settings})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        if case.reference:
            painted = [paint_fully(*each) for each in zip(pieces, samples, strict=True)]
            reference = train_reference(samples, painted, config=config)
            segment, told = reference.segment, {"thresholds": reference.thresholds._asdict()}
        else:
            segment, told = learn_ours(samples, config, Path(folder) / "model"), {}
        figures: dict[str, Any] = {"train_s": round(time.perf_counter() - start, 1), **told}
        for part in task.find:
            piece = read(data, part, task=task)
            start = time.perf_counter()
            labels = segment(piece.volume)
            seconds = round(time.perf_counter() - start, 1)
            figures[part.name] = score(labels, piece) | {"segment_s": seconds}
    return figures


def learn_ours(samples: list[Sample], config: BoxesConfig, out: Path) -> Callable[[Volume], IntLabels]:
    weak3d.follow(workflow.train("boxes", samples, config=config, out=out))
    return lambda volume: weak3d.follow(workflow.segment(out, volume)).labels


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


def compare(record: Record, tasks: list[Task]) -> str:
    """Ours beside the references, on the mean of tasks, draw by draw.

    The spread is how far draws lie apart, of ours or of the reference, whichever is more.
    """
    lines = []
    for other in (FULL, EQUAL_TIME):
        draws = find_common_draws(record, tasks, (OURS, other))
        for figure in FIGURES if draws else ():
            ours, theirs = (
                [mean_of_tasks(record, tasks, case, seed, figure) for seed in draws] for case in (OURS, other)
            )
            more = [a - b for a, b in zip(ours, theirs, strict=True)]
            spread = max(max(values) - min(values) for values in (ours, theirs))
            least = 0.0 - MOST_BELOW[figure] if other == FULL else spread
            mean = float(np.mean(more))
            goal = f"at least {three(least)}" if other == FULL else f"more than {three(least)}"
            met = mean >= least - _ROUNDING if other == FULL else mean > least
            told = [f"{mean:+.3f}", three(spread), goal, "yes" if met else "no"]
            lines.append([other, figure, with_range(ours), with_range(theirs), *told])
    if not lines:
        return f"nothing to compare: no draw has all tasks of {OURS!r} and of a reference"
    header = ["beside", "figure", OURS, "reference", "difference", "spread of draws", "goal", "met"]
    return f"mean of {', '.join(task.name for task in tasks)}:\n{markdown(header, lines)}"


def find_common_draws(record: Record, tasks: list[Task], cases: tuple[str, ...]) -> list[str]:
    """List the seeds that all tasks have been run with, in all of some cases."""
    runs = [set(record.get("tasks", task.name, case) or {}) for task in tasks for case in cases]
    return sorted(set.intersection(*runs), key=int) if runs else []


def mean_of_tasks(record: Record, tasks: list[Task], case: str, seed: str, figure: str) -> float:
    """Average a figure over tasks, after the volumes of each."""
    means = []
    for task in tasks:
        run = record.get("tasks", task.name, case, seed)
        means.append(np.mean([run[part.name][figure] for part in task.find]))
    return float(np.mean(means))


if __name__ == "__main__":
    main()
