"""Cells from one click each: this package against a watershed from the same clicks, blob detection, and minima.

    python benchmarks/centroids_table.py [DATA] [--minutes 10] [--seeds 3] [--rows TEXT ...] [--cases TEXT ...]
                                         [--out results/centroids.json]

The row "bright field" is synthetic: it needs no DATA, and without DATA it is the only one.
Clicks are the centres of mass of the true objects, or the markers of the data. Beside ours, by kind of image: from the
clicks, a watershed of nuclei cut by Otsu's threshold of grey values or of their logarithm, and flooding of membranes;
without clicks, flooding from minima, and blob detection, both as is best on the training volumes.
Cases: "plain"; for the ablation "pseudo labels" (nothing learned), "no refinement", either equation; for human hands
"jitter", "missing", "double". The file is rewritten after every run, and goes on where it was cut off.
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
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.feature import peak_local_max
from skimage.filters import threshold_li, threshold_otsu
from skimage.morphology import h_minima
from skimage.segmentation import watershed

import napari_weak3d as weak3d
from napari_weak3d import workflow
from napari_weak3d.io.annotations import read_centroids
from napari_weak3d.methods.centroids.learner import annotate_all
from napari_weak3d.methods.centroids.pseudo import make_pseudo_labels
from napari_weak3d.metrics import marker_scores
from napari_weak3d.samples import SYNTHETIC, click_centroids
from napari_weak3d.types import Centroids, IntLabels, Sample, Volume
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
from volumes import Row, load, load_volume


@dataclass(frozen=True)
class Task:
    """What is learned from, what is segmented."""

    name: str
    learn: tuple[str, ...]
    find: tuple[str, ...]
    has_labels: bool = True
    membranes: bool = False
    synthetic: bool = False


TASKS = (
    Task("embryo", ("mouse-embryo-16",), ("mouse-embryo-16",)),
    Task("ovule", ("ovule-nuclei-1135",), ("ovule-nuclei-1135",)),
    Task(
        "gland",
        ("gland-2017-12-04_1a", "gland-2017-12-04_3a"),
        ("gland-2018-04-10_2a", "gland-2019-01-15_2a"),
        membranes=True,
    ),
    Task(
        "worm",
        tuple(f"worm-nuclei-t{t:03d}" for t in (40, 60, 80, 100)),
        ("worm-nuclei-t130",),
        has_labels=False,
    ),
    Task("bright field", ("bright-field-0",), ("bright-field-0", "bright-field-1"), synthetic=True),
)


@dataclass(frozen=True)
class Case:
    """How clicks are spoiled, and which settings are changed."""

    jitter: float = 0.0
    missing: float = 0.0
    double: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)


FIRST_GUESS = "pseudo labels"
CASES = {
    "plain": Case(),
    FIRST_GUESS: Case(),
    "no refinement": Case(settings={"refinement_weight": 0}),
    "equation 4": Case(settings={"refinement": "bright-field"}),
    "equation 5": Case(settings={"refinement": "fluorescence"}),
    "guided": Case(settings={"pseudo_labels": "guided"}),
    "excitation": Case(settings={"pseudo_labels": "excitation"}),
    "jitter": Case(jitter=1 / 6),
    "missing": Case(missing=0.1),
    "double": Case(double=0.05),
}
FIGURES = ("iou", "seg", "mucov", "f1")
BASELINES = (OTSU, LOG_OTSU, SHARPNESS, FLOODING, MINIMA, BLOBS) = (
    "Otsu and watershed",
    "log-Otsu and watershed",
    "sharpness and watershed",
    "flooding",
    "minima and flooding",
    "blob detection",
)
SIGMAS, DEPTHS = (1, 1.5, 2, 3), (0.05, 0.1, 0.2, 0.3, 0.45)
TISSUE_SIGMA, MEMBRANE_SIGMA, LEAST_VOXELS = 5.0, 1.0, 60
SURELY_INSIDE = 0.25
"""Of the distance between two centres: radius of a ball around one that lies in its cell."""
LOG_RADII, LOG_THRESHOLDS = (3, 4, 5, 6, 8), (0.05, 0.1, 0.15, 0.2, 0.3)


def main() -> None:
    options = read_options()
    record = Record(options.out, what="cells from one click each")
    settings = training_settings(options)
    tasks = [task for task in TASKS if not options.rows or any(text in task.name for text in options.rows)]
    tasks = [task for task in tasks if task.synthetic or options.data is not None]
    failed = [title for title, run in plan_runs(options, tasks, record, settings) if not attempt(title, run)]
    print(report(record, tasks))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="parts of names of tasks")
    parser.add_argument("--cases", nargs="*", default=["plain"], choices=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "centroids.json")
    add_training_options(parser, minutes=10)
    return parser.parse_args()


def plan_runs(
    options: argparse.Namespace, tasks: list[Task], record: Record, settings: dict[str, Any]
) -> list[tuple[str, Callable[[], None]]]:
    """List what is still to do, with a title each: what others do first, then ours seed by seed."""
    runs: list[tuple[str, Callable[[], None]]] = []
    for task in tasks:
        for kind in list_baselines(task):
            if record.get("tasks", task.name, kind) is None:
                runs.append((f"{task.name}, {kind}", partial(run_baseline, options.data, task, kind, record=record)))
    for seed in range(options.seeds):
        for task in tasks:
            for case in options.cases:
                done = record.get("tasks", task.name, case, str(seed))
                if done is None or done["settings"] != settings:
                    run = partial(run_ours, options.data, task, case, seed=seed, record=record, settings=settings)
                    runs.append((f"{task.name}, {case}, seed {seed}", run))
    return runs


def run_ours(data: Path | None, task: Task, case: str, *, seed: int, record: Record, settings: dict[str, Any]) -> None:
    job = score_first_guess if case == FIRST_GUESS else train_and_score
    figures = run_in_child(job, data, task, CASES[case], {**settings, "seed": seed})
    record.put("tasks", task.name, case, str(seed), value={"settings": settings, **figures})


def train_and_score(data: Path | None, task: Task, case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """Train on the spoiled clicks, score each volume to be found: with and without clicks where they are known."""
    rng = np.random.default_rng(settings["seed"])
    samples = []
    for name in task.learn:
        volume, truth, clicks = read(data, name, task=task)
        spoiled = spoil_points(clicks, case, rng, volume=volume) if truth is None else spoil(truth, case, rng)
        samples.append(Sample(volume, spoiled))
    config = weak3d.load_config("centroids").from_settings({**settings, **case.settings})
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        out = Path(folder) / "model"
        weak3d.follow(workflow.train("centroids", samples, config=config, out=out))
        figures["train_s"] = round(time.perf_counter() - start, 1)
        for name in task.find:
            volume, truth, clicks = read(data, name, task=task)
            ways = {"clicks": {}, "none": {"use_clicks": False}} if name in task.learn else {"none": {}}
            for way, changed in ways.items():
                prediction = weak3d.follow(workflow.segment(out, volume, settings=changed))
                if truth is not None:
                    figures.setdefault(way, {})[name] = score(prediction.labels, truth)
                    continue
                found, _ = workflow.find_centres(out, prediction, volume, settings=changed)
                f1 = marker_scores(found.points_vox, clicks.points_vox, spacing=volume.spacing).f1
                figures.setdefault(way, {})[name] = {"marker_f1": f1}
    return figures


def score_first_guess(data: Path | None, task: Task, case: Case, settings: dict[str, Any]) -> dict[str, Any]:
    """Score what masks are first made of, with nothing learned: only of volumes whose clicks are given."""
    config = weak3d.load_config("centroids").from_settings(settings)
    figures: dict[str, Any] = {"clicks": {}}
    for name in task.find:
        volume, truth, clicks = read(data, name, task=task)
        if name in task.learn and truth is not None:
            (seen,) = annotate_all([Sample(volume, clicks)], config=config)
            guess = make_pseudo_labels(
                seen.image, seen.points_vox, cells=seen.cells, look=seen.look, spacing=seen.spacing
            )
            figures["clicks"][name] = score(guess.labels, truth)
    return figures


def spoil(truth: IntLabels, case: Case, rng: np.random.Generator) -> Centroids:
    return click_centroids(truth, rng=rng, jitter=case.jitter, missing=case.missing, double=case.double)


def spoil_points(clicks: Centroids, case: Case, rng: np.random.Generator, *, volume: Volume) -> Centroids:
    """The same where only centres are known: the distance to the nearest other one stands for the diameter."""
    places = clicks.points_vox * volume.spacing
    diameters = cKDTree(places).query(places, k=2)[0][:, 1:]
    kept = np.sort(rng.choice(len(places), len(places) - round(case.missing * len(places)), replace=False))
    twice = np.sort(rng.choice(kept, round(case.double * len(kept)), replace=False))
    moved = places[kept] + case.jitter * diameters[kept] * rng.standard_normal((len(kept), 3))
    # evenly in a ball that a cell holds whole
    towards = rng.standard_normal((len(twice), 3))
    towards *= (rng.random((len(twice), 1)) ** (1 / 3)) / np.linalg.norm(towards, axis=1, keepdims=True)
    seconds = places[twice] + SURELY_INSIDE * diameters[twice] * towards
    points = np.concatenate([moved, seconds]) / volume.spacing
    return Centroids(np.clip(points, 0, np.array(volume.shape) - 1))


def read(data: Path | None, name: str, *, task: Task) -> tuple[Volume, IntLabels | None, Centroids]:
    """Volume, labels if there are any, and a click per object; a synthetic volume ends in its seed."""
    if task.synthetic:
        kind, _, number = name.rpartition("-")
        made = SYNTHETIC[kind].make(np.random.default_rng(int(number)))
        return made.volume, made.labels, click_centroids(made.labels, rng=np.random.default_rng(0))
    assert data is not None
    if not task.has_labels:
        return load_volume(data, name), None, read_centroids(data / name / "centroids.csv")
    real = load(data, Row(name))
    return real.volume, real.truth, click_centroids(real.truth, rng=np.random.default_rng(0))


def score(labels: IntLabels, truth: IntLabels) -> dict[str, float]:
    scores = weak3d.instance_scores(labels, truth)
    return {name: getattr(scores, name) for name in FIGURES}


def list_baselines(task: Task) -> tuple[str, ...]:
    """Name what others do in a task."""
    if task.membranes:
        return MINIMA, FLOODING
    if not task.has_labels:
        return (BLOBS,)
    return (SHARPNESS,) if task.synthetic else (OTSU, LOG_OTSU)


def run_baseline(data: Path | None, task: Task, kind: str, *, record: Record) -> None:
    """Score what others do on each volume to be found."""
    find: Callable[..., Any] = {
        OTSU: lambda image, clicks, **where: flood(cut_bright(image, **where), clicks, **where),
        LOG_OTSU: lambda image, clicks, **where: flood(cut_bright(image, log=True, **where), clicks, **where),
        SHARPNESS: lambda image, clicks, **where: flood(cut_sharp(image, **where), clicks, **where),
        FLOODING: flood_membranes,
        MINIMA: choose_minima,
        BLOBS: choose_blob_filter,
    }[kind]
    if kind in (MINIMA, BLOBS):
        best, way = find(data, task), {MINIMA: flood_minima, BLOBS: find_blobs}[kind]
        find = lambda image, _, **where: way(image, *best, **where)  # noqa: E731  # as the others are written
    figures: dict[str, Any] = {}
    for name in task.find:
        volume, truth, clicks = read(data, name, task=task)
        found = find(np.asarray(volume.data[0], np.float32), clicks, spacing=volume.spacing)
        if truth is not None:
            figures[name] = score(found, truth)
        else:
            figures[name] = {"marker_f1": marker_scores(found, clicks.points_vox, spacing=volume.spacing).f1}
    record.put("tasks", task.name, kind, value=figures)


def cut_bright(
    image: NDArray[np.float32], *, spacing: tuple[float, float, float], log: bool = False
) -> NDArray[np.bool_]:
    """Otsu's threshold of the smoothed image, or of its logarithm."""
    smooth = ndimage.gaussian_filter(image, 1.5 * spacing[-1] / np.array(spacing))
    smooth = np.log1p(smooth) if log else smooth
    bright: NDArray[np.bool_] = smooth > threshold_otsu(smooth)
    return bright


def cut_sharp(image: NDArray[np.float32], *, spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Otsu's threshold of how sharp each plane is, the smoothed size of its Laplacian; holes in planes are filled."""
    second = [ndimage.gaussian_filter(image, (0, 1.5, 1.5), order=order) for order in ((0, 2, 0), (0, 0, 2))]
    sharp = ndimage.gaussian_filter(np.abs(second[0] + second[1]), 3 * spacing[-1] / np.array(spacing))
    return np.stack([ndimage.binary_fill_holes(plane) for plane in sharp > threshold_otsu(sharp)])


def flood(mask: NDArray[np.bool_], clicks: Centroids, *, spacing: tuple[float, float, float]) -> IntLabels:
    distances = ndimage.distance_transform_edt(mask, sampling=np.array(spacing) / spacing[-1])
    labels: IntLabels = watershed(-distances, plant(clicks, mask.shape), mask=mask)
    return labels


def flood_membranes(image: NDArray[np.float32], clicks: Centroids, *, spacing: tuple[float, float, float]) -> IntLabels:
    """Flood a membrane stain from the clicks, within the tissue."""
    membranes, tissue = find_tissue(image, spacing=spacing)
    labels: IntLabels = watershed(membranes, plant(clicks, image.shape), mask=tissue)
    return labels


def plant(clicks: Centroids, shape: tuple[int, ...]) -> IntLabels:
    """Give each click a seed of one voxel."""
    seeds = np.zeros(shape, np.int32)
    at = np.clip(np.rint(clicks.points_vox).astype(int), 0, np.array(shape) - 1)
    seeds[tuple(at.T)] = np.arange(1, len(at) + 1)
    return seeds


def choose_minima(data: Path | None, task: Task) -> tuple[float, float]:
    """Blur and depth of minima of the best mean SEG on the volumes that are learned from."""
    grid = {(sigma, depth): 0.0 for sigma in SIGMAS for depth in DEPTHS}
    for name in task.learn:
        volume, truth, _ = read(data, name, task=task)
        assert truth is not None
        image = np.asarray(volume.data[0], np.float32)
        for setting in grid:
            grid[setting] += score(flood_minima(image, *setting, spacing=volume.spacing), truth)["seg"]
    return max(grid, key=lambda setting: grid[setting])


def flood_minima(
    image: NDArray[np.float32], sigma: float, depth: float, *, spacing: tuple[float, float, float]
) -> IntLabels:
    """Flood a membrane stain from the minima of its blurred logarithm, within the tissue."""
    relative = np.array(spacing) / spacing[-1]
    membranes, tissue = find_tissue(image, spacing=spacing)
    minima = h_minima(ndimage.gaussian_filter(np.log1p(image), sigma / relative), depth)
    seeds, _ = ndimage.label(minima, structure=np.ones((3, 3, 3)))
    labels: IntLabels = watershed(membranes, seeds * tissue, mask=tissue)
    labels[(np.bincount(labels.ravel()) < LEAST_VOXELS)[labels]] = 0
    return labels


def find_tissue(
    image: NDArray[np.float32], *, spacing: tuple[float, float, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give the smoothed membranes, and where there is tissue at all."""
    relative = np.array(spacing) / spacing[-1]
    membranes = ndimage.gaussian_filter(image, MEMBRANE_SIGMA / relative)
    broad = ndimage.gaussian_filter(image, TISSUE_SIGMA / relative)
    return membranes, ndimage.binary_fill_holes(broad > threshold_li(membranes))


def choose_blob_filter(data: Path | None, task: Task) -> tuple[float, float]:
    """Radius and threshold of the best mean F1 on the volumes that are learned from."""
    grid = {(r, t): 0.0 for r in LOG_RADII for t in LOG_THRESHOLDS}
    for name in task.learn:
        volume, _, clicks = read(data, name, task=task)
        image = np.asarray(volume.data[0], np.float32)
        for setting in grid:
            points = find_blobs(image, *setting, spacing=volume.spacing)
            grid[setting] += marker_scores(points, clicks.points_vox, spacing=volume.spacing).f1
    return max(grid, key=lambda setting: grid[setting])


def find_blobs(
    image: NDArray[np.float32], radius: float, threshold: float, *, spacing: tuple[float, float, float]
) -> NDArray[np.int64]:
    response = -ndimage.gaussian_laplace(image, radius / (np.array(spacing) / min(spacing)))
    found: NDArray[np.int64] = peak_local_max(response, min_distance=2, threshold_rel=threshold, exclude_border=False)
    return found


def report(record: Record, tasks: list[Task]) -> str:
    """A line per task, case, way and volume."""
    lines = []
    for task in tasks:
        for case, runs in (record.get("tasks", task.name) or {}).items():
            if case in BASELINES:
                used = "" if case in (MINIMA, BLOBS) else "clicks"
                lines += [line(task, name, case, used, [runs[name]]) for name in task.find if name in runs]
                continue
            for way in ("clicks", "none"):
                for name in task.find:
                    found = [run[way][name] for run in runs.values() if name in run.get(way, {})]
                    if found:
                        lines.append(line(task, name, case, way, found))
    return markdown(["task", "volume", "case", "clicks used", "IoU", "SEG", "MUCov", "F1"], lines)


def line(task: Task, name: str, case: str, way: str, found: list[dict[str, float]]) -> list[str]:
    cells = [with_range([each[figure] for each in found if figure in each]) for figure in FIGURES]
    if not task.has_labels:
        cells[-1] = with_range([each["marker_f1"] for each in found])
    return [task.name, name, case, way, *cells]


if __name__ == "__main__":
    main()
