"""The centroids model: train it, keep it in a folder, let it segment."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_weak3d.errors import ModelError, VolumeError
from napari_weak3d.io.annotations import check_centroids, check_clicks
from napari_weak3d.io.atomic import all_or_none
from napari_weak3d.messages import Command
from napari_weak3d.methods.centroids.config import CentroidsConfig
from napari_weak3d.methods.centroids.holding_out import USUAL
from napari_weak3d.methods.centroids.instances import Maps
from napari_weak3d.methods.centroids.learner import MASKS, Learner, annotate_all
from napari_weak3d.methods.centroids.networks import Pair, build_nets
from napari_weak3d.methods.centroids.phases import train
from napari_weak3d.methods.centroids.scheme import KnownClicks
from napari_weak3d.methods.centroids.segmenting import find_grown, find_seeds, segment_volume
from napari_weak3d.methods.centroids.starting import go_on, make_scheme, share_lengths
from napari_weak3d.methods.centroids.storage import Stored, read_model, write_model
from napari_weak3d.methods.centroids.suggesting import rank_slices
from napari_weak3d.nn.checkpoint import identify, make_folder, write_log
from napari_weak3d.nn.device import pick_device, precision_for
from napari_weak3d.nn.intensity import measure_greys
from napari_weak3d.nn.loop import Budget
from napari_weak3d.nn.member import Compute
from napari_weak3d.types import NOWHERE, Centroids, Prediction, Progress, Sample, SliceIndex, Volume

FitJob = Generator[Progress, Command | None, "CentroidsModel"]
PredictJob = Generator[Progress, Command | None, Prediction]


class CentroidsModel:
    """A trained model. Made by :meth:`fit` or :meth:`load`.

    Attributes
    ----------
    stored
        All there is to it: what its folder holds.
    """

    outputs = frozenset({"uncertainty", "probabilities"})
    """The fields of its predictions that are not None, of those that may be."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored

    @classmethod
    def fit(
        cls, samples: Sequence[Sample], *, config: CentroidsConfig, folder: Path, start: CentroidsModel | None = None
    ) -> FitJob:
        """Train on clicked volumes.

        Parameters
        ----------
        samples
            One or more volumes with ``Centroids``; inside the region, where there is one, all cells are clicked.
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
            There are no clicks, one lies outside of volume or region, or two on one voxel.
        """
        check_clicks(samples)
        stored = None if start is None else start.stored
        samples = share_lengths(samples, start=stored)
        annotated = annotate_all(samples, config=config)
        device = pick_device(config.device)
        learner = Learner(
            tuple(samples),
            make_scheme(samples, annotated, start=stored),
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
        self,
        volume: Volume,
        *,
        settings: Mapping[str, Any] | None = None,
        clicks: Centroids | None = None,
        annotated: Sample | None = None,
    ) -> PredictJob:
        """Segment a volume; one that was clicked for training is recognised, and its clicks used.

        Parameters
        ----------
        volume
            With as many channels as the model was trained on.
        settings
            Settings to change for this once.
        clicks
            Centres that are known; cells without one are found as ever.
        annotated
            What is clicked in this very volume by now, instead of what was when the model was trained; left out where
            the settings say so.

        Raises
        ------
        VolumeError
            The channels differ.
        ConfigError
            A setting is unknown, out of bounds, or of training only.
        AnnotationError
            A click lies outside the volume.
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
                self._pair(config),
                volume,
                scheme=self.stored.scheme,
                threshold=config.peak_threshold or self.peak_threshold,
                config=config,
                clicks=self._find_clicks(volume, config=config, given=clicks, annotated=annotated),
            )
        )

    def find_centres(
        self,
        prediction: Prediction,
        volume: Volume,
        *,
        settings: Mapping[str, Any] | None = None,
        clicks: Centroids | None = None,
    ) -> tuple[Centroids, NDArray[np.float64]]:
        """Give the centres that the objects of a prediction grew from, and their scores (N,) in 0..1.

        They lie nearer to where a person would click than the objects' centres of mass.

        Parameters
        ----------
        prediction, volume, settings, clicks
            As :meth:`predict` gave and got them.
        """
        config = self.stored.config.for_segmenting(settings or {})
        scheme, measured = self.stored.scheme, self.stored.scheme.measure(volume)
        maps = Maps(prediction.images["centres"], prediction.images["mask"], prediction.images["inside"])
        seeds = find_seeds(
            maps,
            measured,
            scheme=scheme,
            threshold=config.peak_threshold or self.peak_threshold,
            clicks=self._find_clicks(volume, config=config, given=clicks),
        )
        grown = find_grown(seeds, prediction.labels, maps=maps, scheme=scheme, spacing=measured.spacing)
        return Centroids(grown.points_vox), grown.scores

    @property
    def peak_threshold(self) -> float:
        """Least height of a peak, unless the settings say otherwise."""
        return USUAL if self.stored.calibration is None else self.stored.calibration.peak_threshold

    def suggest(self, sample: Sample, *, count: int) -> Generator[Progress, Command | None, tuple[SliceIndex, ...]]:
        """Say which slices to look at next, best first: where there seem to be cells, and no click yet."""
        prediction = yield from self.predict(sample.volume)
        return rank_slices(prediction, sample, scheme=self.stored.scheme, threshold=self.peak_threshold, count=count)

    @classmethod
    def load(cls, folder: Path) -> CentroidsModel:
        """Read a model folder.

        Raises
        ------
        ModelError
            It is missing something, damaged, or newer than this version.
        """
        return cls(read_model(folder))

    def _find_clicks(
        self, volume: Volume, *, config: CentroidsConfig, given: Centroids | None, annotated: Sample | None = None
    ) -> KnownClicks | None:
        if given is not None:
            check_centroids(given, volume)
            return KnownClicks("", given.points_vox, NOWHERE)  # nobody said that they are complete
        if not config.use_clicks:
            return None
        identity = identify(volume)
        learned = next((known for known in self.stored.clicks if known.identity == identity), None)
        if annotated is None:
            return learned
        assert isinstance(annotated.annotation, Centroids)
        points = annotated.annotation.points_vox
        region = annotated.region or (NOWHERE if learned is None else learned.region)
        return KnownClicks(identity, points, region) if len(points) else None

    def _pair(self, config: CentroidsConfig) -> Pair:
        device = pick_device(config.device)
        nets = build_nets(self.stored.scheme, self.stored.config)
        for net, weights in zip(nets, self.stored.weights, strict=False):
            try:
                net.load_state_dict(weights)
            except RuntimeError as error:
                raise ModelError(f"the model's weights do not fit its network: {error}", where="weights") from None
            net.to(device).eval().requires_grad_(False)
        mask = nets[MASKS] if self.stored.has_masks else None
        return Pair(nets[0], mask, Compute(device, precision_for(device)), config)


class _Saver:
    """Writes what a learner knows."""

    def __init__(self, folder: Path, samples: Sequence[Sample]) -> None:
        self._folder = folder
        self._identities = [identify(sample.volume) for sample in samples]
        self._greys = [measure_greys(sample.volume.data) for sample in samples]

    def __call__(self, learner: Learner) -> None:
        clicks = tuple(
            KnownClicks(identity, sample.annotation.points_vox, sample.region, greys)
            for identity, greys, sample in zip(self._identities, self._greys, learner.samples, strict=True)
            if isinstance(sample.annotation, Centroids)
        )
        newest = learner.log[-1] if learner.log else None
        stored = Stored(
            config=learner.config,
            scheme=learner.scheme,
            calibration=learner.calibration,
            clicks=clicks,
            weights=tuple(member.snapshot().state_dict() for member in learner.members),
            has_masks=learner.has_masks,
            summary={
                "steps": newest.step if newest else 0,
                "seconds": round(newest.seconds, 1) if newest else 0.0,
                "loss": newest.loss if newest else None,
                **_held_out(learner),
                "forgotten": [len(each.forgotten) for each in learner.annotated],
                "volumes": [sample.volume.name for sample in learner.samples],
                "torch": torch.__version__,
            },
            resume=None if learner.fraction >= 1 else tuple(member.state() for member in learner.members),
            fraction=learner.fraction,
        )
        make_folder(self._folder)
        with all_or_none():
            write_log(self._folder, learner.log)
            write_model(self._folder, stored)


def _held_out(learner: Learner) -> dict[str, float]:
    score = None if learner.calibration is None else learner.calibration.held_out_f1
    return {} if score is None else {"held_out_f1": score}
