"""The boxes model: train it, keep it in a folder, let it segment."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from napari_weak3d.errors import ModelError, VolumeError
from napari_weak3d.io.annotations import check_drawn
from napari_weak3d.io.atomic import all_or_none
from napari_weak3d.messages import Command
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.finding import Finder
from napari_weak3d.methods.boxes.learner import Learner, build_net
from napari_weak3d.methods.boxes.phases import train
from napari_weak3d.methods.boxes.scheme import USUAL_SCORE, KnownBoxes
from napari_weak3d.methods.boxes.segmenting import segment_volume
from napari_weak3d.methods.boxes.starting import go_on, make_scheme
from napari_weak3d.methods.boxes.storage import Stored, read_model, write_drawn, write_model
from napari_weak3d.methods.boxes.suggesting import rank_boxes, rank_slices
from napari_weak3d.methods.boxes.volumes import annotate
from napari_weak3d.nn.checkpoint import identify, make_folder, write_log
from napari_weak3d.nn.device import pick_device, precision_for
from napari_weak3d.nn.intensity import measure_greys
from napari_weak3d.nn.loop import Budget
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.types import NOWHERE, Boxes, Prediction, Progress, Sample, SliceIndex, Volume

FitJob = Generator[Progress, Command | None, "BoxesModel"]
PredictJob = Generator[Progress, Command | None, Prediction]


class BoxesModel:
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
        classes = {"classes"} if len(self.stored.scheme.classes) > 2 else set()
        return frozenset({"uncertainty", "probabilities", *classes})

    @classmethod
    def fit(
        cls, samples: Sequence[Sample], *, config: BoxesConfig, folder: Path, start: BoxesModel | None = None
    ) -> FitJob:
        """Train on boxed volumes.

        Parameters
        ----------
        samples
            One or more volumes with ``Boxes``; inside the region, where there is one, all objects are boxed. Masks
            may be there for all, some or none of them.
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
            There are no boxes, none lies in the region, one is flat or outside of the volume, or masks do not fit
            their boxes.
        """
        check_drawn(samples)
        stored = None if start is None else start.stored
        scheme = make_scheme(samples, config=config, start=stored)
        annotated = [annotate(each, view_volume(each.volume), classes=scheme.classes) for each in samples]
        device = pick_device(config.device)
        learner = Learner(
            tuple(samples),
            scheme,
            config,
            Compute(device, precision_for(device)),
            save_to=_Saver(folder, samples),
            annotated=annotated,
        )
        # From here on time counts: reading and normalising are done.
        budget = Budget(config.minutes * 60, steps=config.steps)
        try:
            if stored is not None:
                go_on(learner, stored, budget=budget)
            stopped = yield from train(learner, budget)
            learner.save(budget.fraction if stopped else 1.0)
            yield Progress(budget.done, budget.done, "done", _held_out(learner), 0.0)
        finally:
            learner.close()
        return cls(read_model(folder))

    def predict(
        self, volume: Volume, *, settings: Mapping[str, Any] | None = None, annotated: Sample | None = None
    ) -> PredictJob:
        """Segment a volume; one that was boxed for training is recognised, and its boxes used.

        Parameters
        ----------
        volume
            With as many channels as the model was trained on.
        settings
            Settings to change for this once.
        annotated
            What is boxed in this very volume by now, instead of what was when the model was trained; left out where
            the settings say so.

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
        return (
            yield from segment_volume(
                self._finder(config),
                volume,
                known=self._find_known(volume, annotated) if config.use_boxes else None,
            )
        )

    @property
    def score_threshold(self) -> float:
        """Least score of an object, unless the settings say otherwise."""
        return USUAL_SCORE if self.stored.calibration is None else self.stored.calibration.score_threshold

    def suggest(self, sample: Sample, *, count: int) -> Generator[Progress, Command | None, tuple[SliceIndex, ...]]:
        """Say which slices to look at next, best first: through the boxes of :meth:`suggest_boxes`."""
        prediction = yield from self.predict(sample.volume)
        return rank_slices(prediction, sample, count=count)

    def suggest_boxes(self, sample: Sample, *, count: int) -> Generator[Progress, Command | None, tuple[int, ...]]:
        """Say which objects to mask next, best first, as rows of the sample's boxes."""
        prediction = yield from self.predict(sample.volume)
        return rank_boxes(prediction, sample, count=count)

    @classmethod
    def load(cls, folder: Path) -> BoxesModel:
        """Read a model folder.

        Raises
        ------
        ModelError
            It is missing something, damaged, or newer than this version.
        """
        return cls(read_model(folder))

    def _find_known(self, volume: Volume, annotated: Sample | None) -> KnownBoxes | None:
        identity = identify(volume)
        learned = next((known for known in self.stored.boxes if known.identity == identity), None)
        if annotated is None:
            return learned
        boxes = annotated.annotation
        assert isinstance(boxes, Boxes)
        region = annotated.region or (NOWHERE if learned is None else learned.region)
        return KnownBoxes(identity, boxes, region) if len(boxes.corners) else None

    def _finder(self, config: BoxesConfig) -> Finder:
        device = pick_device(config.device)
        net = build_net(self.stored.scheme, self.stored.config)
        try:
            net.load_state_dict(self.stored.weights)
        except RuntimeError as error:
            raise ModelError(f"the model's weights do not fit its network: {error}", where="weights") from None
        compute = Compute(device, precision_for(device))
        net.to(device, memory_format=compute.precision.memory_format).eval().requires_grad_(False)  # type: ignore[call-overload]  # not in torch's stubs
        return Finder.calibrated(
            net,
            compute,
            self.stored.scheme,
            config,
            has_masks=self.stored.has_masks,
            calibration=self.stored.calibration,
        )


class _Saver:
    """Writes what a learner knows."""

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        self._folder = folder
        self._identities = [identify(sample.volume) for sample in samples]
        self._greys = [measure_greys(sample.volume.data) for sample in samples]
        self._written: tuple[Sample, ...] = ()

    def __call__(self, learner: Learner) -> None:
        known = tuple(
            KnownBoxes(identity, sample.annotation, sample.region, greys)
            for identity, greys, sample in zip(self._identities, self._greys, learner.samples, strict=True)
            if isinstance(sample.annotation, Boxes)
        )
        newest = learner.log[-1] if learner.log else None
        stored = Stored(
            config=learner.config,
            scheme=learner.scheme,
            calibration=learner.calibration,
            boxes=known,
            weights=dict(learner.member.snapshot().state_dict()),
            summary={
                "steps": newest.step if newest else 0,
                "seconds": round(newest.seconds, 1) if newest else 0.0,
                "loss": newest.loss if newest else None,
                **_held_out(learner),
                "boxes": [len(each.boxes) for each in learner.annotated],
                "masks": [int(each.has_mask.sum()) for each in learner.annotated],
                "completed": [int(each.has_mask.sum()) for each in learner.completed],
                "volumes": [sample.volume.name for sample in learner.samples],
                "torch": torch.__version__,
            },
            resume=None if learner.fraction >= 1 else learner.state(),
            fraction=learner.fraction,
            sighting=None if learner.fraction >= 1 else learner.held_out_sighting,
        )
        make_folder(self._folder)
        with all_or_none():
            if learner.samples is not self._written:
                write_drawn(self._folder, [each.boxes for each in known])
            write_log(self._folder, learner.log)
            write_model(self._folder, stored)
        self._written = learner.samples


def _held_out(learner: Learner) -> dict[str, float]:
    score = None if learner.calibration is None else learner.calibration.held_out_f1
    return {} if score is None else {"held_out_f1": score}
