"""One training and one segmentation by this package, in a process of its own, timed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_weak3d as weak3d
from napari_weak3d.messages import Command, PreviewSlice
from napari_weak3d.types import IntLabels, Prediction, Progress, Sample, SliceIndex
from volumes import Paint, RealVolume, Row, load, paint


@dataclass(frozen=True)
class Job:
    """What to train on, and how.

    Attributes
    ----------
    annotated
        The slices to paint.
    settings
        Of the method, seed included.
    preview
        A slice to ask for as soon as training has begun.
    model
        Folder for the model; None: a temporary one.
    start
        A trained model to go on from.
    """

    data: Path
    row: Row
    annotated: tuple[SliceIndex, ...]
    kind: Paint
    settings: dict[str, Any]
    preview: SliceIndex | None = None
    model: Path | None = None
    start: Path | None = None


PREVIEW_ASKED_S = 13.0
"""Seconds after the start at which a preview is asked for: an app renews it all the time, 15 s is what is promised."""


@dataclass
class Trained:
    """What came of it: labels and classes (Z, Y, X), times, and the preview with its seconds since the start."""

    labels: IntLabels
    classes: IntLabels | None
    train_s: float
    segment_s: float
    threads: int
    metrics: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    preview: NDArray[np.int32] | None = None
    preview_s: float | None = None

    def figures(self) -> dict[str, Any]:
        """What of it goes into a result file."""
        return {
            "train_seconds": round(self.train_s, 1),
            "segment_seconds": round(self.segment_s, 1),
            "threads": self.threads,
            "steps": self.steps,
            "metrics": self.metrics,
        }


def train_and_segment(job: Job) -> Trained:
    """Train ``slices`` on painted slices of a volume, and segment it."""
    import torch  # noqa: PLC0415  # its start is no part of the times

    real = load(job.data, job.row)
    with tempfile.TemporaryDirectory() as folder:
        model = job.model or Path(folder) / "model"
        watch = _Watch(job.preview)
        train(job, real, model=model, watch=watch)
        train_s = watch.seconds()
        prediction: Prediction = weak3d.follow(weak3d.segment(model, real.volume, settings={}))
    return Trained(
        labels=prediction.labels,
        classes=prediction.classes,
        train_s=train_s,
        segment_s=watch.seconds() - train_s,
        threads=torch.get_num_threads(),
        metrics={name: float(value) for name, value in watch.last.metrics.items()},
        steps=watch.last.step,
        preview=watch.preview,
        preview_s=watch.preview_s,
    )


def train(job: Job, real: RealVolume, *, model: Path, watch: _Watch) -> None:
    """Train and save a model; ``watch`` starts its clock just before the first step."""
    sample = Sample(real.volume, paint(real.truth, job.annotated, kind=job.kind))
    config = weak3d.load_config("slices").from_settings(job.settings)
    generator = weak3d.train("slices", [sample], config=config, out=model, start=job.start)
    watch.begin()
    weak3d.follow(generator, commands=watch.next_command, watch=watch.see)


def suggest(job: Job, model: Path, count: int) -> tuple[SliceIndex, ...]:
    """Ask a trained model which slices to paint next."""
    real = load(job.data, job.row)
    sample = Sample(real.volume, paint(real.truth, job.annotated, kind=job.kind))
    chosen = weak3d.follow(weak3d.suggest(model, sample, count=count))
    return tuple((int(axis), int(index)) for axis, index in chosen)


class _Watch:
    """Asks for a preview once, so late that it just comes within 15 s, and notes when it does."""

    def __init__(self, preview: SliceIndex | None) -> None:
        self.last = Progress(0, 0)
        self.preview: NDArray[np.int32] | None = None
        self.preview_s: float | None = None
        self._to_ask = preview
        self._start = 0.0

    def begin(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def next_command(self) -> Command | None:
        if self._to_ask is None or self.seconds() < PREVIEW_ASKED_S:
            return None
        command = PreviewSlice(self._to_ask)
        self._to_ask = None
        return command

    def see(self, progress: Progress) -> None:
        # Metrics stay those of the last progress that had any: the very last one often has none.
        metrics = progress.metrics or self.last.metrics
        self.last = Progress(progress.step, progress.total, metrics=metrics)
        if progress.preview is not None and self.preview is None:
            self.preview, self.preview_s = np.asarray(progress.preview.labels), self.seconds()
