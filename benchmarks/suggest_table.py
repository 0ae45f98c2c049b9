"""Which three slices to paint after the first three: those that the model suggests, random ones, or evenly spaced ones.

    python benchmarks/suggest_table.py DATA [--seeds 5] [--minutes 1 | --steps N] [--rows TEXT ...]
                                       [--out results/suggest.json]

Paired: per row and seed one model is trained on three z slices, and goes on three times, each with three more slices
by one of the strategies. The IoU of the object class is taken where none of the four has seen paint, so that none
scores by what it was given. The file is rewritten after every row and seed, and goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from napari_weak3d import class_scores
from napari_weak3d.types import IntLabels, SliceIndex
from record import RESULTS, Record, add_training_options, attempt, markdown, run_in_child, three, training_settings
from training import Job, suggest, train_and_segment
from volumes import CLASS_ROWS, Row, choose_rows, load, name_slices, painted_voxels, spread_slices

COUNT = 3
STRATEGIES = ("suggested", "random", "even")
OBJECT = 1


def main() -> None:
    options = read_options()
    rows = choose_rows(CLASS_ROWS, options.rows)
    record = Record(options.out, what="IoU after three more painted slices, by how they were chosen")
    settings = training_settings(options)
    failed = []
    for seed in range(options.seeds):
        for row in rows:
            if find(record, row, seed, settings=settings) is None:
                run = partial(run_pair, options.data, row, seed, record=record, settings=settings)
                failed += [] if attempt(f"{row.name}, seed {seed}", run) else [row.name]
    print(report(record, rows, seeds=options.seeds, settings=settings))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names, or FOLDER/TRUTH")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "suggest.json")
    add_training_options(parser, minutes=1)
    return parser.parse_args()


def find(record: Record, row: Row, seed: int, *, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is there of a row and seed, unless it was made with other settings."""
    found = record.get("rows", row.name, str(seed))
    return found if found and found["settings"] == settings else None


def run_pair(data: Path, row: Row, seed: int, *, record: Record, settings: dict[str, Any]) -> None:
    """Train once on three slices, then go on with three more by each strategy."""
    truth = load(data, row).truth
    first = spread_slices(len(truth), COUNT)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "first"
        job = Job(data, row, first, "classes", {**settings, "seed": seed}, model=model)
        classes = {"first three": run_in_child(train_and_segment, job).classes}
        more = {
            "suggested": run_in_child(suggest, job, model, COUNT),
            "random": choose_random(len(truth), first, rng=np.random.default_rng(seed)),
            "even": choose_even(len(truth), first),
        }
        for name, chosen in more.items():
            again = Job(data, row, (*first, *chosen), "classes", job.settings, start=model)
            classes[name] = run_in_child(train_and_segment, again).classes
    seen = painted_voxels(truth.shape, [*first, *(one for chosen in more.values() for one in chosen)])
    figures = {
        "iou": {name: score(labels, truth, ignore=seen) for name, labels in classes.items()},
        "slices": {name: name_slices(chosen) for name, chosen in more.items()},
        "painted_voxels": {name: int(painted_voxels(truth.shape, chosen).sum()) for name, chosen in more.items()},
        "settings": settings,
    }
    record.put("rows", row.name, str(seed), value=figures)


def choose_random(n: int, painted: tuple[SliceIndex, ...], *, rng: np.random.Generator) -> tuple[SliceIndex, ...]:
    """Choose z slices at random among those not painted."""
    free = np.setdiff1d(np.arange(n), [z for _, z in painted])
    return tuple((0, int(z)) for z in np.sort(rng.choice(free, COUNT, replace=False)))


def choose_even(n: int, painted: tuple[SliceIndex, ...]) -> tuple[SliceIndex, ...]:
    """Choose z slices one by one, each as far from all painted ones as can be; of equals the one nearest the middle."""
    known, chosen = [z for _, z in painted], []
    middle = (n - 1) / 2
    for _ in range(COUNT):
        distance = [(min(abs(z - other) for other in known), -abs(z - middle)) for z in range(n)]
        chosen.append(max(range(n), key=distance.__getitem__))
        known.append(chosen[-1])
    return tuple((0, z) for z in sorted(chosen))


def score(classes: IntLabels | None, truth: IntLabels, *, ignore: np.ndarray[Any, Any]) -> float:
    assert classes is not None, "the method paints classes and gives none"
    guess, true = ((labels > 0).astype(np.int32) for labels in (classes, truth))
    return class_scores(guess, true, ignore=ignore).get(OBJECT, 1.0)


def report(record: Record, rows: list[Row], *, seeds: int, settings: dict[str, Any]) -> str:
    """Lay out the means per row, and the paired differences over all."""
    lines: list[list[str]] = []
    runs: list[dict[str, float]] = []
    for row in rows:
        found = [one["iou"] for seed in range(seeds) if (one := find(record, row, seed, settings=settings))]
        runs += found
        means = [three(mean(run[name] for run in found) if found else None) for name in ("first three", *STRATEGIES)]
        lines.append([row.folder, row.truth, str(len(found)), *means])
    table = markdown(["volume", "truth", "seeds", "first three", *STRATEGIES], lines)
    return "\n".join([table, "", *(compare(runs, other) for other in STRATEGIES[1:] if runs)])


def compare(runs: list[dict[str, float]], other: str) -> str:
    """Say by how much the suggested slices are better, run by run."""
    gains = [run["suggested"] - run[other] for run in runs]
    error = stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
    wins = sum(gain > 0 for gain in gains)
    return (
        f"suggested - {other}: {mean(gains):+.3f} (standard error {error:.3f}); better in {wins} of {len(gains)} pairs"
    )


if __name__ == "__main__":
    main()
