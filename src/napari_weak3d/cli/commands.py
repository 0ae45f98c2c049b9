"""One function per command: reads files, pulls one verb of the workflow, writes files, returns a report.

All that can be refused is refused before the work starts; results are written after it, each file whole or not at all.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_weak3d.cli import inputs, places, settings
from napari_weak3d.cli.report import Report
from napari_weak3d.errors import AnnotationError, Weak3DError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_weak3d.types import Centroids, IntLabels, Prediction, Progress, Sample, SliceIndex, Volume


def run_open(options: argparse.Namespace) -> Report:
    """Start napari with the dock; ends when its window is closed."""
    from napari_weak3d.cli.opening import start_napari

    start_napari(options.path)
    return {}


def run_demo(options: argparse.Namespace) -> Report:
    """Train on a synthetic volume, write what went in and what came out, and score it."""
    from napari_weak3d.cli import demo
    from napari_weak3d.methods import load_config

    config = load_config(options.method).from_settings({"minutes": demo.MINUTES} | settings.read_budget(options))
    return demo.run(options.method, config=config, out=options.out)


def run_weaken(options: argparse.Namespace) -> Report:
    """Make painted slices, centroids or boxes from a dense truth."""
    from napari_weak3d.io.annotations import masks_path, sidecar_path
    from napari_weak3d.io.atomic import all_or_none
    from napari_weak3d.io.volumes import read_labels

    if options.jitter is not None and options.to != "centroids":
        raise Weak3DError(f"--jitter belongs to centroids: leave it out with --to {options.to}", where="--jitter")
    places.check_out(options.out, places.TIFF_SUFFIXES if options.to == "slices" else (".csv",), option="--out")
    beside = {
        "the masks beside --out": masks_path(options.out) if options.to == "boxes" else None,
        "the .json beside --out": sidecar_path(options.out) if options.to == "slices" else None,
    }
    places.check_distinct([options.truth], {"--out": options.out} | beside)
    for option, path in beside.items():
        places.check_beside(path, out=options.out, option=option)
    labels = read_labels(options.truth)
    if not labels.any():
        raise AnnotationError(f"{options.truth} holds no object: there is nothing to label", where=str(options.truth))
    frame = inputs.read_grid(options.truth, labels=labels)
    weaken = {"slices": _weaken_to_slices, "centroids": _weaken_to_centroids, "boxes": _weaken_to_boxes}[options.to]
    with all_or_none():
        return {"out": str(options.out)} | weaken(labels, frame, options=options)


def _weaken_to_slices(labels: IntLabels, frame: Volume, *, options: argparse.Namespace) -> dict[str, Any]:
    from napari_weak3d.io.annotations import write_slices
    from napari_weak3d.samples import paint_slices

    slices = paint_slices(labels, slices_per_axis=options.slices_per_axis, paint=options.paint)
    write_slices(options.out, slices, spacing=frame.spacing, unit=frame.unit)
    return {"slices": _name_slices(slices.annotated)}


def _weaken_to_centroids(labels: IntLabels, _frame: Volume, *, options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from napari_weak3d.io.annotations import write_centroids
    from napari_weak3d.samples import click_centroids

    centroids = click_centroids(labels, rng=np.random.default_rng(options.seed), jitter=options.jitter or 0.0)
    write_centroids(options.out, centroids)
    return {"centroids": len(centroids.points_vox)}


def _weaken_to_boxes(labels: IntLabels, frame: Volume, *, options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from napari_weak3d.io.annotations import masks_path, write_boxes
    from napari_weak3d.samples import draw_boxes

    boxes = draw_boxes(labels, rng=np.random.default_rng(options.seed), fraction=options.fraction)
    masks = masks_path(options.out)
    write_boxes(options.out, boxes, masks=masks, spacing=frame.spacing, unit=frame.unit)
    return {"masks": str(masks), "boxes": len(boxes.corners), "masked": int(boxes.has_mask.sum())}


def run_train(options: argparse.Namespace) -> Report:
    """Train a model on volumes with weak labels; Ctrl-C ends the training and keeps the model."""
    from napari_weak3d.io.models import check_model_out
    from napari_weak3d.methods import find_method, load_config

    find_method(options.method)
    if options.help_config:
        return settings.describe_config(load_config(options.method))
    for name in ("image", "annotation", "out"):
        if not getattr(options, name):
            raise Weak3DError(f"train needs --{name} (see: napari-weak3d train --help)", where=name)
    if options.masks and find_method(options.method).annotation != "Boxes":
        raise Weak3DError(f"{options.method!r} takes no --masks: they belong to boxes", where="--masks")
    if options.start:
        inputs.check_model_in(options.start)
    config, n_before = settings.train_config(options), settings.count_steps(options.start)
    check_model_out(options.out, method=options.method)
    samples = inputs.read_samples(options)
    inputs.tell_background(options, samples)

    from napari_weak3d import workflow
    from napari_weak3d.cli.bar import follow, stop_on_interrupt

    if options.start and (fraction := settings.find_place(options.start, config=config)) < 1:
        print(f"going on at {fraction:.0%} of a training that was stopped", file=sys.stderr)
    newest: deque[Progress] = deque(maxlen=1)
    with stop_on_interrupt() as commands:
        job = workflow.train(options.method, samples, config=config, out=options.out, start=options.start)
        follow(job, commands=commands, watch=newest.append)
    return {
        "model": str(options.out),
        "method": options.method,
        "steps": settings.count_steps(options.out) - n_before,
        "finished": settings.find_place(options.out, config=config) >= 1,
        "metrics": dict(newest[0].metrics) if newest else {},
    }


def run_segment(options: argparse.Namespace) -> Report:
    """Segment a volume with a trained model."""
    for name in ("out", "classes", "uncertainty"):
        if getattr(options, name):
            places.check_out(getattr(options, name), places.LABEL_SUFFIXES, option=f"--{name}")
    tables = {"--objects": options.objects, "--centres-out": options.centres_out}
    for option, path in tables.items():
        if path:
            places.check_out(path, (".csv",), option=option)
    images = {"--out": options.out, "--classes": options.classes, "--uncertainty": options.uncertainty}
    inputs.check_model_in(options.model)
    places.check_distinct([options.model, options.image, options.clicks], images | tables)
    if options.centres_out or options.clicks:
        inputs.check_takes_clicks(options.model, option="--clicks" if options.clicks else "--centres-out")
    volume = inputs.read_image(options.image, options=options)
    clicks = inputs.read_clicks(options.clicks, volume=volume) if options.clicks else None

    from napari_weak3d import workflow
    from napari_weak3d.cli.bar import follow

    wanted = [name for name in ("classes", "uncertainty") if getattr(options, name)]
    changed = dict(options.settings)
    with settings.bounds_told(settings.find_config(options.model)):
        prediction = follow(workflow.segment(options.model, volume, settings=changed, wanted=wanted, clicks=clicks))
    centres = (
        workflow.find_centres(options.model, prediction, volume, settings=changed, clicks=clicks)
        if options.centres_out
        else None
    )
    _write_segmented(prediction, volume, options=options, centres=centres)
    report = {"out": str(options.out), "objects": len(prediction.objects), "shape": list(prediction.labels.shape)}
    return report | ({"notes": list(prediction.notes)} if prediction.notes else {})


def _write_segmented(
    prediction: Prediction,
    volume: Volume,
    *,
    options: argparse.Namespace,
    centres: tuple[Centroids, NDArray[np.float64]] | None,
) -> None:
    """Write all that was asked for, or nothing."""
    from napari_weak3d.cli import outputs
    from napari_weak3d.io.atomic import all_or_none

    with all_or_none():
        outputs.write_prediction(
            prediction,
            volume,
            labels=options.out,
            classes=options.classes,
            uncertainty=options.uncertainty,
            objects=options.objects,
        )
        if centres is not None:
            outputs.write_centres(options.centres_out, centres[0], scores=centres[1])


def run_evaluate(options: argparse.Namespace) -> Report:
    """Score labels against labels or points, points against points, or boxes against boxes."""
    from napari_weak3d import workflow
    from napari_weak3d.io.annotations import parse_annotated

    paths = (options.prediction, options.truth)
    tables = [path for path in paths if _is_table(path)]
    if len(tables) == 1 and not _find_columns(tables[0]) & {"z", "axis-0"}:
        raise Weak3DError(
            f"{options.prediction} and {options.truth} are of two kinds: score labels against labels or points (.csv), "
            "points against points, boxes (.csv) against boxes",
            where="evaluate",
        )
    if tables and options.ignore_slices:
        raise Weak3DError("--ignore-slices belongs to labels: leave it out with a .csv", where="--ignore-slices")
    boxed = len(tables) == 2 and all("z0" in _find_columns(path) for path in tables)
    ignored = parse_annotated(options.ignore_slices, name="--ignore-slices")
    scored = [_read_scorable(path, boxed=boxed, among=paths) for path in paths]
    if not tables or boxed:  # overlaps are counted in voxels
        return workflow.evaluate(*scored, ignore_slices=ignored)
    spacing = inputs.find_spacing(options, [path for path in paths if path not in tables])
    return workflow.evaluate(*scored, spacing=spacing) | {"spacing": list(spacing)}


def run_measure(options: argparse.Namespace) -> Report:
    """Write a table of the objects of a label image, in the unit of the image's spacing, or else of its own."""
    from napari_weak3d import measure
    from napari_weak3d.io.volumes import check_image, read_labels

    places.check_out(options.out, (".csv",), option="--out")
    places.check_distinct([options.labels, options.image], {"--out": options.out})
    among = [options.labels, options.image]
    with inputs.told_apart(options.labels, among=among):
        labels = read_labels(options.labels)
    with inputs.told_apart(options.image or options.labels, among=among):
        frame = inputs.read_frame(options)
        image = frame if options.image else None
        if image is not None:
            check_image(image)
    rows = measure.measure_objects(labels, volume=image, spacing=frame.spacing, unit=frame.unit)
    measure.write_measures(options.out, rows)
    return {"out": str(options.out), "objects": len(rows), "unit": frame.unit}


def run_suggest(options: argparse.Namespace) -> Report:
    """Name the slices to paint, or the boxes to mask, next, the most useful first."""
    inputs.check_model_in(options.model)
    sample = _read_suggest_sample(options)

    from napari_weak3d import workflow
    from napari_weak3d.cli.bar import follow
    from napari_weak3d.types import Boxes

    if isinstance(sample.annotation, Boxes):
        rows = follow(workflow.suggest_boxes(options.model, sample, count=options.count))
        notes = (
            {"notes": ["every box has a mask: there is none to suggest"]} if sample.annotation.has_mask.all() else {}
        )
        return {"boxes": [row + 1 for row in rows]} | notes
    chosen = follow(workflow.suggest(options.model, sample, count=options.count))
    notes = {} if chosen else {"notes": ["every slice is complete: there is none to suggest"]}
    return {"slices": _name_slices(chosen)} | notes


def _read_suggest_sample(options: argparse.Namespace) -> Sample:
    """The image with what is painted by now, which may be nothing."""
    from napari_weak3d import workflow

    kind = workflow.method_of(options.model).annotation
    annotated = next(iter(inputs.join_annotated(options.annotated)), None)
    if options.annotation is not None:
        return inputs.read_sample(
            options,
            kind=kind,
            image=options.image,
            annotation=options.annotation,
            masks=options.masks,
            annotated=annotated,
            region=None,
            among=[options.image, options.annotation, options.masks],
        )
    if kind == "Boxes":
        raise Weak3DError("a model of boxes says which of them to mask next: give --annotation", where="--annotation")
    if annotated is not None:
        raise Weak3DError("--annotated says which slices of --annotation are complete: give both", where="--annotated")
    import numpy as np

    from napari_weak3d.types import Centroids, Sample, Slices

    volume = inputs.read_image(options.image, options=options)
    nothing = Centroids(np.zeros((0, 3))) if kind == "Centroids" else Slices(np.zeros(volume.shape, np.int32))
    return Sample(volume, nothing)


def _name_slices(chosen: Sequence[SliceIndex]) -> list[str]:
    """[(0, 17), (1, 4)] -> ["z:17", "y:4"], as ``--annotated`` takes them; in their order."""
    from napari_weak3d.io.annotations import format_annotated

    return [text for index in chosen for text in format_annotated([index])]


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _find_columns(path: Path) -> set[str]:
    """The columns of a table: boxes have z0, points z (or napari's axis-0), objects both."""
    from napari_weak3d.io.annotations.tables import read_table

    return {column.lower() for column in read_table(path).columns}


def _read_scorable(path: Path, *, boxed: bool, among: Sequence[Path]) -> Any:
    """Boxes or points from a CSV, else labels; ``among``: all files that are read."""
    from napari_weak3d.io.annotations import read_boxes, read_centroids
    from napari_weak3d.io.volumes import read_labels

    with inputs.told_apart(path, among=among):
        if not _is_table(path):
            return read_labels(path)
        return read_boxes(path) if boxed else read_centroids(path)
