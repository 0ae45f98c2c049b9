"""The slices model: train it, keep it in a folder, let it segment."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.atomic import all_or_none
from napari_weak3d.messages import Command
from napari_weak3d.methods.slices.config import SlicesConfig, Statistics
from napari_weak3d.methods.slices.ensemble import Ensemble, build_net
from napari_weak3d.methods.slices.learner import Learner
from napari_weak3d.methods.slices.scheme import KnownPaint
from napari_weak3d.methods.slices.scoring import calibrate, default_calibration
from napari_weak3d.methods.slices.segmenting import segment_volume
from napari_weak3d.methods.slices.starting import find_paint_before, find_seen, go_on, make_scheme
from napari_weak3d.methods.slices.storage import Stored, read_model, write_model, write_paint
from napari_weak3d.methods.slices.suggesting import rank_slices
from napari_weak3d.nn.checkpoint import identify, load_weights, write_log
from napari_weak3d.nn.device import pick_device, precision_for
from napari_weak3d.nn.intensity import measure_greys
from napari_weak3d.nn.loop import Budget, Job, save_or_say, talk, train_loop
from napari_weak3d.nn.member import Compute
from napari_weak3d.types import Prediction, Progress, Sample, SliceIndex, Slices, Volume

FitJob = Generator[Progress, Command | None, "SlicesModel"]
PredictJob = Generator[Progress, Command | None, Prediction]

_WRITING_S = 1.0
"""Seconds of the budget that are left for writing the model."""
_SCORING_AT_MOST = 0.5
"""Of the budget that is left, scoring takes no more, or little more: a short training has to learn too (ours)."""


class SlicesModel:
    """A trained model. Made by :meth:`fit` or :meth:`load`.

    Attributes
    ----------
    stored
        All there is to it: what its folder holds.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored

    @property
    def outputs(self) -> frozenset[str]:
        """The fields of its predictions that are not None, of those that may be."""
        classes = {"classes"} if self.stored.scheme.paint == "classes" else set()
        return frozenset({"uncertainty", "probabilities"} | classes)

    @classmethod
    def fit(
        cls, samples: Sequence[Sample], *, config: SlicesConfig, folder: Path, start: SlicesModel | None = None
    ) -> FitJob:
        """Train on painted volumes.

        Parameters
        ----------
        samples
            One or more volumes with ``Slices``, checked, all painted in the same way.
        config
            The settings.
        folder
            Where the model is kept: written every 20 s, on pause and at the end.
        start
            A model to go on from: with its weights, and if its training was not finished, from where that stood.

        Yields
        ------
        Progress
            Takes all commands of ``messages``.

        Raises
        ------
        AnnotationError
            The samples do not fit one another or ``start``; of painted objects, none lies on a complete slice along
            the stack.
        """
        scheme = make_scheme(samples, start=None if start is None else start.stored)
        device = pick_device(config.device)
        identities = [identify(sample.volume) for sample in samples]
        before = None if start is None else find_paint_before(start.stored, samples, identities=identities)
        learner = Learner(
            before or tuple(samples),
            scheme,
            config,
            Compute(device, precision_for(device)),
            save_to=_Saver(folder, samples, identities=identities),
            seen_before=() if start is None or before else find_seen(start.stored, identities=identities),
        )
        # From here on time counts: reading and normalising are done.
        budget = Budget(config.minutes * 60, steps=config.steps)
        try:
            if start is not None:
                go_on(learner, start.stored, budget=budget)
            if before is not None:
                learner.take(tuple(samples))
            until = 1.0 if config.steps else 1 - min(0.05, _WRITING_S / (60 * config.minutes))
            stopped = yield from train_loop(learner, budget=budget, until=min(config.scoring_share, until))
            if not stopped and config.scoring_share > 0 and any(map(any, learner.held_out)):
                stopped = yield from _score(learner, budget)
            if not stopped:
                stopped = yield from train_loop(learner, budget=budget, until=until)
            learner.save(budget.fraction if stopped else 1.0)
            yield Progress(budget.done, budget.done, "done", _held_out(learner), 0.0)
        finally:
            learner.close()
        return cls(read_model(folder))

    def predict(self, volume: Volume, *, settings: Mapping[str, Any] | None = None) -> PredictJob:
        """Segment a volume; one that was painted in training is recognised, and its paint used.

        Parameters
        ----------
        volume
            With as many channels as the model was trained on.
        settings
            Settings to change for this once.

        Raises
        ------
        VolumeError
            The channels differ.
        ConfigError
            A setting is unknown, out of bounds, or of training only.
        """
        config = self.stored.config.for_segmenting(settings or {})
        if volume.n_channels != self.stored.scheme.channels:
            raise VolumeError(
                f"{volume.name} has {volume.n_channels} channel(s), but the model was trained on "
                f"{self.stored.scheme.channels}: choose the same channels",
                where=volume.name,
                value=volume.n_channels,
            )
        paint = self._find_paint(volume) if config.use_paint else None
        return (
            yield from segment_volume(
                self._ensemble(config),
                volume,
                scheme=self.stored.scheme,
                calibration=self.stored.calibration,
                config=config,
                paint=paint,
            )
        )

    def suggest(self, sample: Sample, *, count: int) -> Generator[Progress, Command | None, tuple[SliceIndex, ...]]:
        """Say which slices to paint next, best first; never one that is complete, or was when this was trained."""
        assert isinstance(sample.annotation, Slices)
        prediction = yield from self.predict(sample.volume)
        if (known := self._find_paint(sample.volume)) is not None:
            complete = tuple(sorted({*sample.annotation.annotated, *known.slices.annotated}))
            sample = replace(sample, annotation=replace(sample.annotation, annotated=complete))
        return rank_slices(prediction, sample, scheme=self.stored.scheme, count=count)

    @classmethod
    def load(cls, folder: Path) -> SlicesModel:
        """Read a model folder.

        Raises
        ------
        ModelError
            It is missing something, damaged, or newer than this version.
        """
        return cls(read_model(folder))

    def _find_paint(self, volume: Volume) -> KnownPaint | None:
        shapes = {known.slices.labels.shape for known in self.stored.paint}
        if volume.shape not in shapes:
            return None
        identity = identify(volume)
        return next((known for known in self.stored.paint if known.identity == identity), None)

    def _ensemble(self, config: SlicesConfig) -> Ensemble:
        device = pick_device(config.device)
        trained = self.stored.config.with_settings({"tile": config.tile, "device": config.device})
        freezes = config.statistics is Statistics.FROZEN
        nets = []
        for weights in self.stored.weights:
            net = build_net(self.stored.scheme, trained)
            load_weights(net, weights, whose="the model", where="weights")
            nets.append(net.to(device).eval().requires_grad_(False))
        return Ensemble(nets, Compute(device, precision_for(device)), self.stored.scheme, trained, freezes=freezes)


class _Saver:
    """Writes what a learner knows; the paint only when it is another."""

    def __init__(self, folder: Path, samples: Sequence[Sample], *, identities: Sequence[str]) -> None:
        self._folder, self._identities = folder, identities
        self._greys = [measure_greys(sample.volume.data) for sample in samples]
        self._written: tuple[Sample, ...] | None = None

    def __call__(self, learner: Learner) -> None:
        paint = tuple(
            KnownPaint(identity, sample.annotation, sample.region, greys)
            for identity, greys, sample in zip(self._identities, self._greys, learner.samples, strict=True)
            if isinstance(sample.annotation, Slices)
        )
        calibration = learner.calibration or default_calibration(learner)
        finished = learner.fraction >= 1
        stored = Stored(
            config=learner.config,
            scheme=learner.scheme,
            calibration=calibration,
            paint=paint,
            weights=tuple(member.averaged.state_dict() for member in learner.ready),
            summary={
                "steps": learner.log[-1].step if learner.log else 0,
                "seconds": round(learner.log[-1].seconds, 1) if learner.log else 0.0,
                "loss": learner.log[-1].loss if learner.log else None,
                "held_out_iou": calibration.held_out_iou if learner.is_scored else None,
                "volumes": [sample.volume.name for sample in learner.samples],
                "torch": torch.__version__,
            },
            resume=None if finished else tuple(member.state() for member in learner.members),
            fraction=learner.fraction,
        )
        with all_or_none():
            if self._written is not learner.samples:
                write_paint(self._folder, paint)
            write_log(self._folder, learner.log)
            write_model(self._folder, stored)
        self._written = learner.samples


def _score(learner: Learner, budget: Budget) -> Job:
    """Calibrate on held-out slices, save, and tell the score; takes commands, and returns whether one was Stop."""
    before = learner.notice
    latest = budget.fraction + _SCORING_AT_MOST * (1 - budget.fraction)
    for done, total in calibrate(learner, is_late=lambda: budget.fraction > latest):
        learner.notice = f"scoring held-out slices ({done + 1} of {total})"
        if (yield from talk(learner, budget=budget, metrics=_held_out(learner))):
            return True
    learner.notice = before
    save_or_say(learner, budget.fraction)
    return (yield from talk(learner, budget=budget, metrics=_held_out(learner)))


def _held_out(learner: Learner) -> dict[str, float]:
    score = learner.calibration.held_out_iou if learner.calibration is not None and learner.is_scored else None
    return {} if score is None else {"held_out_iou": score}
