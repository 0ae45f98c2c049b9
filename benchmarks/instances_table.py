"""Instances from a few painted z slices of object ids: this package against a forest, a watershed and linking.

    python benchmarks/instances_table.py DATA [--slices 3 6 12] [--minutes 5] [--seeds 1] [--rows TEXT ...]
                                         [--only forest|ours ...] [--out results/instances.json]

SEG and F1 at IoU 0.5, twice: of the whole volume, and with the painted slices ignored (the goal is set on the latter:
painted slices are given, not found). The file is rewritten after every run, and goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from forest import segment_by_forest
from napari_weak3d import instance_scores
from napari_weak3d.types import IntLabels, SliceIndex
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
from stitching import segment_by_stitching
from training import Job, train_and_segment
from volumes import OBJECT_ROWS, Row, choose_rows, load, name_slices, painted_voxels, spread_slices

GAIN = 0.05
"""The goal: SEG above the forest's by as much, on the mean of rows."""
WHO = ("forest", "ours")
FIGURES = ("seg", "f1", "mucov", "iou", "n_predicted", "n_true")


def main() -> None:
    options = read_options()
    rows = choose_rows(OBJECT_ROWS, options.rows)
    record = Record(options.out, what="instances from painted z slices of object ids")
    settings = training_settings(options)
    runs = plan_runs(options, rows, record=record, settings=settings)
    failed = [title for title, run in runs if not attempt(title, run)]
    print(report(record, rows, slices=options.slices, settings=settings))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names, or FOLDER/TRUTH")
    parser.add_argument("--slices", type=int, nargs="+", default=[3, 6, 12])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=("forest", "ours"), default=("forest", "ours"))
    parser.add_argument("--out", type=Path, default=RESULTS / "instances.json")
    add_training_options(parser, minutes=5)
    return parser.parse_args()


def plan_runs(
    options: argparse.Namespace, rows: list[Row], *, record: Record, settings: dict[str, Any]
) -> list[tuple[str, Callable[[], None]]]:
    """List what is still to do, with a title each: forests first, then ours seed by seed."""
    runs: list[tuple[str, Callable[[], None]]] = []
    cases = [(count, row) for count in options.slices for row in rows]
    for count, row in cases:
        if "forest" in options.only and record.get("rows", row.name, str(count), "forest") is None:
            title = f"{row.name}, {count} slices, forest"
            runs.append((title, partial(run_forest, options.data, row, count, record=record)))
    for seed in range(options.seeds) if "ours" in options.only else ():
        for count, row in cases:
            done = record.get("rows", row.name, str(count), "ours", str(seed))
            if done is None or done["settings"] != settings:
                run = partial(run_ours, options.data, row, count, seed=seed, record=record, settings=settings)
                runs.append((f"{row.name}, {count} slices, ours, seed {seed}", run))
    return runs


def run_forest(data: Path, row: Row, count: int, *, record: Record) -> None:
    real = load(data, row)
    annotated = spread_slices(len(real.truth), count)
    slices = [z for _, z in annotated]
    start = time.perf_counter()
    forest = segment_by_forest(real.image, real.truth > 0, slices=slices, spacing=real.volume.spacing)
    labels, chosen = segment_by_stitching(
        forest.probability, forest.left_out, image=real.image, ids=real.truth, slices=slices
    )
    figures = {"seconds": round(time.perf_counter() - start, 1), "balanced": forest.balanced, "chosen": chosen}
    record.put("rows", row.name, str(count), "forest", value=score(labels, real.truth, annotated) | figures)


def run_ours(data: Path, row: Row, count: int, *, seed: int, record: Record, settings: dict[str, Any]) -> None:
    truth = load(data, row).truth
    annotated = spread_slices(len(truth), count)
    trained = run_in_child(train_and_segment, Job(data, row, annotated, "objects", {**settings, "seed": seed}))
    figures = {"settings": settings, "painted": name_slices(annotated), **trained.figures()}
    scores = score(trained.labels, truth, annotated)
    record.put("rows", row.name, str(count), "ours", str(seed), value=scores | figures)


def score(labels: IntLabels, truth: IntLabels, annotated: tuple[SliceIndex, ...]) -> dict[str, Any]:
    """Scores of the whole volume, and of what was not painted."""
    painted = painted_voxels(truth.shape, annotated)
    both = {"whole": instance_scores(labels, truth), "unpainted": instance_scores(labels, truth, ignore=painted)}
    return {part: {name: getattr(scores, name) for name in FIGURES} for part, scores in both.items()}


def report(record: Record, rows: list[Row], *, slices: list[int], settings: dict[str, Any]) -> str:
    """Lay out the table and the goal, per number of painted slices."""
    lines: list[list[str]] = []
    goals: list[str] = []
    for count in slices:
        gains = []
        for row in rows:
            found = record.get("rows", row.name, str(count)) or {}
            runs = [run for run in found.get("ours", {}).values() if run["settings"] == settings]
            lines.append([row.folder, str(count), *describe("unpainted", found, runs), *describe("whole", found, runs)])
            if runs and "forest" in found:
                gains.append(mean(run["unpainted"]["seg"] for run in runs) - found["forest"]["unpainted"]["seg"])
        goals += [check_goal(count, gains, n_rows=len(rows))] if gains else []
    parts = [f"{score}, {part}: {who}" for part in ("unpainted", "whole") for score in ("SEG", "F1") for who in WHO]
    return "\n".join([markdown(["volume", "slices", *parts], lines), "", *goals])


def describe(part: str, found: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    """SEG of both, F1 of both."""
    forest = found.get("forest", {}).get(part, {})
    return [
        cell
        for name in ("seg", "f1")
        for cell in (three(forest.get(name)), with_range([run[part][name] for run in runs]))
    ]


def check_goal(count: int, gains: list[float], *, n_rows: int) -> str:
    state = "met" if mean(gains) >= GAIN else "missed"
    return (
        f"{count} slices, {len(gains)} of {n_rows} rows: SEG of unpainted slices {mean(gains):+.3f} on the mean, "
        f"{min(gains):+.3f} at worst (goal: {GAIN:+.3f} on the mean): {state}"
    )


if __name__ == "__main__":
    main()
