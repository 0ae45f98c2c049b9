"""What each request does: files of the project in, the engine's verbs, files of the project out."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_weak3d import methods, workflow
from napari_weak3d.errors import StorageError, Weak3DError
from napari_weak3d.io.atomic import cause_in_words
from napari_weak3d.io.models import read_description, read_method
from napari_weak3d.io.project import (
    KINDS,
    BoxesState,
    Kind,
    new_id,
    open_annotation,
    read_project_image,
    read_project_sample,
    write_prediction,
)
from napari_weak3d.io.volumes import read_volume, write_labels
from napari_weak3d.messages import Command, Propose, Request, Segment, SegmentFiles, Stop, Suggest, Train
from napari_weak3d.types import Boxes, PaintClass, Progress, Sample
from napari_weak3d.worker.talk import Talk
from napari_weak3d.worker.watch import AnnotationWatch

_log = logging.getLogger(__name__)

Result = dict[str, Any]
T = TypeVar("T")

_PARTS = 1000
"""Of the work on one file of several: progress is counted in these."""


def run(request: Request, talk: Talk) -> Result:
    """Do what is asked.

    Returns
    -------
    What ``messages.Finished`` says of this kind of request, and "stopped": whether it was ended early.

    Raises
    ------
    Weak3DError
        Something the user can mend.
    """
    match request:
        case Train():
            return train(request, talk)
        case Segment():
            return segment(request, talk)
        case SegmentFiles():
            return segment_files(request, talk)
        case Suggest():
            return suggest(request, talk)
        case Propose():
            return propose(request, talk)


def train(request: Train, talk: Talk) -> Result:
    """Train on what is annotated, and on what is annotated meanwhile.

    A Stop that comes before the first step has been told leaves no model: it would have learned nothing. A training
    that goes on with its own model keeps it.
    """
    project = Path(request.project)
    talk.advance(Progress(0, 0, "reading the image" if len(request.images) == 1 else "reading the images"))
    config = methods.load_config(request.method).from_settings(request.settings)
    watch = _watch(project, request.images, kind=_kind_of(request.method))
    start = None if request.start is None else _model_folder(project, request.start)
    job = workflow.train(
        request.method, watch.samples, config=config, out=_model_folder(project, request.model), start=start
    )
    metrics: dict[str, float] = {}
    command: Command | None = None
    is_new = request.start != request.model
    with closing(job):
        while True:
            try:
                progress = job.send(command)
            except StopIteration:
                return {"model": request.model, "metrics": metrics, "stopped": talk.stopped}
            metrics |= progress.metrics
            talk.advance(progress, note=watch.note)
            if progress.preview is not None:
                talk.show(progress.preview, images=request.images)
            command = talk.next_command() or watch.news()
            if is_new and isinstance(command, Stop):
                return {"model": None, "metrics": {}, "stopped": True}
            is_new = False


def segment(request: Segment, talk: Talk) -> Result:
    """Segment an image of the project; nothing is written if it is stopped."""
    project, model = Path(request.project), _model_folder(Path(request.project), request.model)
    annotated = _read_annotated(project, request.image, kind=_kind_of(read_method(model)))
    volume = read_project_image(project, request.image) if annotated is None else annotated.volume
    prediction = _follow(workflow.segment(model, volume, settings=request.settings, annotated=annotated), talk)
    if prediction is None:
        return {"prediction": None, "stopped": True}
    talk.advance(Progress(1, 1, "writing the result"))
    prediction_id = new_id()
    write_prediction(
        project / "predictions" / prediction_id,
        prediction,
        image_id=request.image,
        model_id=request.model,
        class_table=() if prediction.classes is None else _class_table(model),
    )
    return {"prediction": prediction_id, "stopped": False}


def segment_files(request: SegmentFiles, talk: Talk) -> Result:
    """Segment file after file; one that cannot be read or segmented does not end the rest."""
    out = Path(request.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {out} cannot be made: {cause_in_words(error, out)}", where="out", value=str(out)
        ) from None
    written: list[str] = []
    failed: list[tuple[str, str]] = []
    for number, file in enumerate(request.files):
        if talk.stopped:
            break
        try:
            labels = _segment_file(request, talk, number=number)
            written += [] if labels is None else [str(labels)]
        except Weak3DError as error:
            failed.append((file, error.message))
        except Exception as error:
            _log.exception("%s", file)
            failed.append((file, f"{type(error).__name__}: {error}"))
    return {"files": written, "failed": failed, "stopped": talk.stopped}


def suggest(request: Suggest, talk: Talk) -> Result:
    """Say which slices to paint, or boxes to mask, next; none if it is stopped."""
    project = Path(request.project)
    model = _model_folder(project, request.model)
    kind = _kind_of(read_method(model))
    sample = read_project_sample(project, request.image, kind=kind)
    if isinstance(sample.annotation, Boxes):
        rows = _follow(workflow.suggest_boxes(model, sample, count=request.count), talk)
        ids = _ids_of(sample.annotation.corners[list(rows or ())], project, request.image)
        return {"slices": [], "boxes": ids, "stopped": rows is None}
    job = workflow.suggest(model, sample, count=request.count)
    slices = _follow(job, talk)
    return {"slices": list(slices or ()), "stopped": slices is None}


def propose(request: Propose, talk: Talk) -> Result:
    """Find points like those that are clicked; none if it is stopped."""
    project = Path(request.project)
    sample = read_project_sample(project, request.image, kind="centroids")
    model = None if request.model is None else _model_folder(project, request.model)
    found = _follow(workflow.propose(sample, model=model), talk)
    if found is None:
        return {"points": [], "scores": [], "radius": None, "stopped": True}
    return {"points": found.points_vox, "scores": found.scores, "radius": found.radius, "stopped": False}


def _segment_file(request: SegmentFiles, talk: Talk, *, number: int) -> Path | None:
    """Segment one file of a request; where its labels are, or None if it was stopped."""
    file, n_files = Path(request.files[number]), len(request.files)
    volume = read_volume(file)
    job = workflow.segment(_model_folder(Path(request.project), request.model), volume, settings=request.settings)
    prefix = f"{file.name} ({number + 1} of {n_files})"
    prediction = _follow(_as_part(job, number=number, n_parts=n_files, prefix=prefix), talk)
    if prediction is None:
        return None
    labels = _free_name(Path(request.out), file)
    write_labels(labels, prediction.labels, spacing=volume.spacing, unit=volume.unit)
    return labels


def _follow(job: Generator[Progress, Command | None, T], talk: Talk) -> T | None:
    """Pull a job that takes no commands to its end; None if it was stopped before."""
    started = time.monotonic()
    with closing(job):
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                result: T = end.value
                return result
            if progress.seconds_left is None and 0 < progress.step <= progress.total:
                per_step = (time.monotonic() - started) / progress.step
                progress = replace(progress, seconds_left=per_step * (progress.total - progress.step))
            talk.advance(progress)
            if talk.should_end():
                return None


def _as_part(
    job: Generator[Progress, Command | None, T], *, number: int, n_parts: int, prefix: str
) -> Generator[Progress, Command | None, T]:
    """Let the progress of one part of the work be that of the whole."""
    with closing(job):
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                result: T = end.value
                return result
            done = number * _PARTS + _PARTS * progress.step // max(1, progress.total)
            yield replace(progress, step=done, total=n_parts * _PARTS, message=f"{prefix}: {progress.message}")


def _watch(project: Path, images: tuple[str, ...], *, kind: Kind) -> AnnotationWatch:
    stores = {image: open_annotation(project, image, kind=kind) for image in images}
    return AnnotationWatch(
        images, read=partial(read_project_sample, project, kind=kind), revision=lambda image: stores[image].revision()
    )


def _kind_of(method: str) -> Kind:
    """Under which the project keeps what a method learns from."""
    noun = methods.find_method(method).annotation.lower()
    return next(kind for kind in KINDS if kind == noun)


def _read_annotated(project: Path, image: str, *, kind: Kind) -> Sample | None:
    """Read what objects are known of an image that is segmented; None where nobody has said anything of it."""
    if kind not in ("centroids", "boxes") or not open_annotation(project, image, kind=kind).revision():
        return None
    return read_project_sample(project, image, kind=kind)


def _ids_of(corners: NDArray[np.int64], project: Path, image: str) -> list[int]:
    """Find the ids of boxes (N, 2, 3) of an image; those that are no longer there are left out.

    By their corners, not their rows: the user may have removed others meanwhile.
    """
    state = open_annotation(project, image, kind="boxes").state()
    assert isinstance(state, BoxesState)
    ids = {entry.corners: entry.id for entry in reversed(state.boxes) if not entry.done}
    found = (ids.get(((z0, y0, x0), (z1, y1, x1))) for (z0, y0, x0), (z1, y1, x1) in corners.tolist())
    return [box_id for box_id in found if box_id is not None]


def _model_folder(project: Path, model: str) -> Path:
    return project / "models" / model


def _class_table(model: Path) -> tuple[PaintClass, ...]:
    """The classes that a model was taught; empty for methods that note none."""
    scheme = read_description(model).get("scheme", {})
    return tuple(PaintClass(**row) for row in scheme.get("classes", ()))


def _free_name(folder: Path, image: Path) -> Path:
    """A name for an image's labels that nothing in the folder has: they may lie beside corrected ones."""
    stem = image.stem.removesuffix(".ome")
    names = (folder / f"{stem}_labels{suffix}.tif" for suffix in ("", *(f"-{n}" for n in range(2, 100_000))))
    return next(name for name in names if not name.exists())
