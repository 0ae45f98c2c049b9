"""Dense labels from a few painted z slices: this package, a random forest and interpolation, on real volumes.

    python benchmarks/slices_table.py DATA [--slices 3] [--minutes 5] [--seeds 3] [--rows TEXT ...]
                                      [--only forest|interpolation|ours ...] [--out results/slices-3.json]

The IoU is that of the object class on the slices that were not painted. Ours trains and segments in a process of its
own; run it on a quiet machine. The file is rewritten after every run: the same command goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from forest import segment_by_forest
from interpolation import interpolate
from napari_weak3d import class_scores
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
from training import Job, Trained, train_and_segment
from volumes import CLASS_ROWS, Row, choose_rows, load, name_slices, painted_voxels, plane, spread_slices

SEGMENTERS = ("interpolation", "forest", "ours")
OBJECT = 1

WORST_ROW, MEAN_GAIN = -0.01, 0.05
"""The goal: no row further below the better of the two others; above it on the mean of rows by as much."""
PREVIEW_SECONDS, PREVIEW_SHARE = 15.0, 0.7
"""The goal: a first preview within as many seconds, of as much of the final IoU of its slice."""


def main() -> None:
    options = read_options()
    rows = choose_rows(CLASS_ROWS, options.rows)
    record = Record(options.out, what=f"IoU on unpainted slices, {options.slices} painted z slices")
    settings = training_settings(options)
    runs = plan_runs(options, rows, record=record, settings=settings)
    failed = [title for title, run in runs if not attempt(title, run)]
    print(report(record, rows, settings=settings))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names, or FOLDER/TRUTH")
    parser.add_argument("--slices", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=SEGMENTERS, default=SEGMENTERS)
    parser.add_argument("--out", type=Path)
    add_training_options(parser, minutes=5)
    options = parser.parse_args()
    options.out = options.out or RESULTS / f"slices-{options.slices}.json"
    return options


def plan_runs(
    options: argparse.Namespace, rows: list[Row], *, record: Record, settings: dict[str, Any]
) -> list[tuple[str, Callable[[], None]]]:
    """List what is still to do, with a title each: the light ones first, then ours seed by seed over all rows."""
    light = {"interpolation": run_interpolation, "forest": run_forest}
    runs: list[tuple[str, Callable[[], None]]] = [
        (f"{row.name} {name}", partial(light[name], options, row, record=record))
        for name in light
        for row in rows
        if name in options.only and record.get("rows", row.name, name) is None
    ]
    seeds = range(options.seeds) if "ours" in options.only else ()
    runs += [
        (f"{row.name} ours, seed {seed}", partial(run_ours, options, row, seed, record=record, settings=settings))
        for seed in seeds
        for row in rows
        if find_ours(record, row, seed, settings=settings) is None
    ]
    return runs


def find_ours(record: Record, row: Row, seed: int, *, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the figures of one of our runs, unless it was made with other settings."""
    found = record.get("rows", row.name, "ours", str(seed))
    return found if found and found["settings"] == settings else None


def run_interpolation(options: argparse.Namespace, row: Row, *, record: Record) -> None:
    real = load(options.data, row)
    annotated = spread_slices(len(real.truth), options.slices)
    start = time.perf_counter()
    guess = interpolate(real.truth > 0, slices=[z for _, z in annotated])
    seconds = time.perf_counter() - start
    figures = {"iou": score(guess.astype(np.int32), real.truth, annotated), "seconds": round(seconds, 2)}
    record.put("rows", row.name, "interpolation", value=figures)


def run_forest(options: argparse.Namespace, row: Row, *, record: Record) -> None:
    real = load(options.data, row)
    annotated = spread_slices(len(real.truth), options.slices)
    slices = [z for _, z in annotated]
    forest = segment_by_forest(real.image, real.truth > 0, slices=slices, spacing=real.volume.spacing)
    figures = {
        "iou": score((forest.probability > 0.5).astype(np.int32), real.truth, annotated),
        "balanced": forest.balanced,
        "held_out_iou": forest.held_out_iou,
        "seconds": round(forest.seconds, 1),
        "seconds_choosing": round(forest.seconds_choosing, 1),
    }
    record.put("rows", row.name, "forest", value=figures)


def run_ours(options: argparse.Namespace, row: Row, seed: int, *, record: Record, settings: dict[str, Any]) -> None:
    truth = load(options.data, row).truth
    annotated = spread_slices(len(truth), options.slices)
    shown = choose_preview(len(truth), annotated)
    job = Job(options.data, row, annotated, "classes", {**settings, "seed": seed}, preview=shown)
    trained = run_in_child(train_and_segment, job)
    assert trained.classes is not None, "the method paints classes and gives none"
    figures = {
        "iou": score(trained.classes, truth, annotated),
        "settings": settings,
        "painted": name_slices(annotated),
        "preview": score_preview(trained, truth, shown),
        **trained.figures(),
    }
    record.put("rows", row.name, "ours", str(seed), value=figures)


def choose_preview(n: int, annotated: tuple[SliceIndex, ...]) -> SliceIndex:
    """Choose the unpainted z slice nearest to a third of the depth: between painted ones, if they are spread."""
    unpainted = sorted(set(range(n)) - {z for _, z in annotated})
    return 0, min(unpainted, key=lambda z: abs(z - n / 3))


def score(classes: IntLabels, truth: IntLabels, annotated: tuple[SliceIndex, ...]) -> float:
    """IoU of the object class where nothing was painted."""
    painted = painted_voxels(truth.shape, annotated)
    return class_scores(as_object(classes), as_object(truth), ignore=painted).get(OBJECT, 1.0)


def score_preview(trained: Trained, truth: IntLabels, shown: SliceIndex) -> dict[str, float] | None:
    """When the first preview came, its IoU, and what its slice reached in the end; None if it never came."""
    if trained.preview is None or trained.classes is None or trained.preview_s is None:
        return None
    true = as_object(truth[plane(*shown)])
    first = class_scores(as_object(trained.preview), true).get(OBJECT, 1.0)
    final = class_scores(as_object(trained.classes[plane(*shown)]), true).get(OBJECT, 1.0)
    return {"slice_z": shown[1], "seconds": round(trained.preview_s, 2), "iou": first, "final_iou": final}


def as_object(labels: IntLabels) -> IntLabels:
    """Values > 0 -> 1: truth may hold ids."""
    return (labels > 0).astype(np.int32)


def report(record: Record, rows: list[Row], *, settings: dict[str, Any]) -> str:
    """Lay out the table and the goals."""
    lines, gains, bests = [], [], []
    for row in rows:
        light = [record.get("rows", row.name, name, "iou") for name in ("forest", "interpolation")]
        runs = our_runs(record, row, settings=settings)
        ours = [run["iou"] for run in runs]
        gain = mean(ours) - max(light) if ours and None not in light else None
        if gain is not None:
            gains.append(gain)
            bests.append(max(light))
        cells = [*map(three, light), with_range(ours), "-" if gain is None else f"{gain:+.3f}", describe_previews(runs)]
        lines.append([row.folder, row.truth, *cells])
    header = ["volume", "truth", "forest", "interpolation", "ours", "ours - better", "first preview, worst"]
    return "\n".join([markdown(header, lines), "", *check_goals(gains, bests, n_rows=len(rows))])


def our_runs(record: Record, row: Row, *, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return our runs of a row that were made with these settings, by seed."""
    runs = record.get("rows", row.name, "ours") or {}
    return [runs[seed] for seed in sorted(runs, key=int) if runs[seed]["settings"] == settings]


def describe_previews(runs: list[dict[str, Any]]) -> str:
    """The longest wait, and the smallest share of the final IoU."""
    previews = [run["preview"] for run in runs if run["preview"]]
    if not previews:
        return "-"
    wait = max(preview["seconds"] for preview in previews)
    share = min(preview["iou"] / max(preview["final_iou"], 1e-6) for preview in previews)
    met = "" if wait <= PREVIEW_SECONDS and share >= PREVIEW_SHARE else " (missed)"
    return f"{wait:.1f} s, {share:.2f} of final{met}"


def check_goals(gains: list[float], bests: list[float], *, n_rows: int) -> list[str]:
    """Say which of the two goals are met, over the rows that are complete."""
    if not gains:
        return ["No row has all three yet."]
    worst, gain = min(gains), mean(gains)
    return [
        f"{len(gains)} of {n_rows} rows; mean of the better one {mean(bests):.3f}, ours {mean(bests) + gain:.3f}",
        f"worst row {worst:+.3f} (goal: at least {WORST_ROW:+.3f}): {verdict(worst >= WORST_ROW)}",
        f"mean of rows {gain:+.3f} (goal: at least {MEAN_GAIN:+.3f}): {verdict(gain >= MEAN_GAIN)}",
    ]


def verdict(met: bool) -> str:
    return "met" if met else "missed"


if __name__ == "__main__":
    main()
