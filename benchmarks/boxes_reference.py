"""What masks of all objects give: a network of our backbone that tells inside, boundary and background (Zhao et al.).

``boxes_table.py`` trains it, with the patches, augmentation, minutes and held-out boxes of ours; objects are made of
what it tells by ``boxes_components.py``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from boxes_components import USUAL, Maps, Seen, Thresholds, choose_thresholds, make_objects
from boxes_tasks import Piece
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.dense import BOUNDARY, INSIDE, N_MAPS, find_flat, mark_classes
from napari_weak3d.methods.boxes.drawing import AUGMENTATION, draw_boxed_batch, find_swappable, make_lesson
from napari_weak3d.methods.boxes.learner import Learner
from napari_weak3d.methods.boxes.network import Backbone, plan_backbone
from napari_weak3d.methods.boxes.scheme import Scheme
from napari_weak3d.methods.boxes.starting import make_scheme
from napari_weak3d.methods.boxes.volumes import Annotated
from napari_weak3d.methods.boxes.volumes import annotate as put_together
from napari_weak3d.nn.device import pick_device, precision_for
from napari_weak3d.nn.loop import Budget
from napari_weak3d.nn.losses import balance_classes, softmax_loss
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.nn.threads import ThreadTuner
from napari_weak3d.nn.tiles import plan_tiles, predict_volume
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import IntLabels, Region, Sample, Volume

_SCORED_AT = 0.5
"""Part of the training after which held-out boxes are scored, and then learned from too; as ours."""
_TILE_ACROSS = 2
"""Patches along a tile; they overlap by half a patch."""


class ReferenceNetwork(nn.Module):
    """The backbone of ours, its finest level up-convolved to the image's resolution, where the image joins it."""

    def __init__(self, channels_in: int, *, scheme: Scheme, config: BoxesConfig) -> None:
        super().__init__()
        plan, self.strides = plan_backbone(scheme.grain, stem=scheme.stem, levels=config.levels)
        channels, half = 2 * config.width, config.width // 2
        self.backbone = Backbone(
            channels_in, plan=plan, stem=scheme.stem, width=config.width, channels_out=channels, used={0}
        )
        self.up = nn.ConvTranspose3d(channels, half, scheme.stem, scheme.stem)
        self.after = nn.Sequential(
            nn.Conv3d(half + channels_in, half, 3, padding=1, bias=False),
            nn.BatchNorm3d(half),
            nn.ReLU(),
            nn.Conv3d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm3d(half),
            nn.ReLU(),
            nn.Conv3d(half, N_MAPS, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> logits (B, 3, Z, Y, X); sizes are multiples of the coarsest stride."""
        finest = self.up(self.backbone(image)[0])
        logits: Tensor = self.after(torch.cat([finest, image.to(finest.dtype)], dim=1))
        return logits


@dataclass(eq=False)
class Reference:
    """A trained network, and what makes objects of what it says."""

    net: nn.Module
    compute: Compute
    tile: tuple[int, int, int]
    multiple: tuple[int, int, int]
    typical_vox: float
    thresholds: Thresholds = USUAL

    def find_maps(self, image: Any) -> Maps:
        """Tell the maps of (C, Z, Y, X), normalised."""

        def predict(batch: Tensor) -> Tensor:
            with self.compute.autocast():
                logits = self.net(self.compute.to_device(batch))
            chances = logits.float().softmax(dim=1)
            return torch.stack([chances[:, INSIDE], chances[:, INSIDE] + chances[:, BOUNDARY]], dim=1)

        z, y, x = (max(1, size // (2 * _TILE_ACROSS)) for size in self.tile)
        maps = np.zeros((2, *image.shape[1:]), np.float32)
        planner = partial(plan_tiles, overlap=(z, y, x), multiple=self.multiple)
        for _ in predict_volume(predict, image, out=maps, planner=planner, tile=self.tile):
            pass
        return maps

    def segment(self, volume: Volume) -> IntLabels:
        """Find the objects of a volume."""
        return make_objects(self.find_maps(view_volume(volume)), self.thresholds, typical_vox=self.typical_vox)


class Training:
    """Samples with all masks, and the network that learns from them.

    Patches, their number, and which boxes are held out are those that a ``Learner`` of ours has on the same boxes.
    """

    def __init__(self, samples: Sequence[Sample], painted: Sequence[IntLabels], *, config: BoxesConfig) -> None:
        scheme = make_scheme(samples, config=config, start=None)
        views = [view_volume(sample.volume) for sample in samples]
        known = [put_together(*each, classes=scheme.classes) for each in zip(samples, views, strict=True)]
        device = pick_device(config.device)
        self.compute = Compute(device, precision_for(device))
        ours = Learner(tuple(samples), scheme, config, self.compute, save_to=lambda _: None, annotated=list(known))
        self.patch, self.held_out, self.scheme, self.config = ours.patch, ours.held_out, scheme, config
        self.samples, self.painted, self.annotated = samples, painted, known
        self._augmentation = replace(AUGMENTATION, swapped_axes=find_swappable(scheme.typical))
        self._flat = find_flat(scheme.typical)
        torch.manual_seed(config.seed)
        net = ReferenceNetwork(2 * scheme.channels, scheme=scheme, config=config)
        self.multiple = net.strides[-1]
        self.member = Member(
            net.to(memory_format=self.compute.precision.memory_format),  # type: ignore[call-overload]  # not in torch's stubs
            compute=self.compute,
            learning_rate=config.learning_rate,
        )
        tunes = device.type == "cpu" and not config.steps
        self._tuner = ThreadTuner(torch.get_num_threads(), set_threads=torch.set_num_threads) if tunes else None
        self.learn(without_held_out=False)
        self._weights = self._balance()

    def learn(self, *, without_held_out: bool) -> None:
        """Prepare what is drawn from; held-out objects, and what lies around them, are not labelled."""
        self._lessons = []
        for annotated, painted, split in zip(self.annotated, self.painted, self.held_out, strict=True):
            if not without_held_out or split is None:
                self._lessons.append(make_lesson(replace(annotated, masks=painted)))
                continue
            shown = np.where(np.isin(painted, _rows_in(annotated, split.held_out)), UNLABELLED, painted)
            shown[~_mark(split.learned, shown.shape)] = UNLABELLED
            self._lessons.append(make_lesson(replace(annotated, masks=shown), region=split.learned))

    def train(self, budget: Budget, *, until: float) -> None:
        """Step until a part of the budget is used, one step at least."""
        while budget.fraction < until or budget.done == 0:
            started = time.monotonic()
            self._step(budget.fraction)
            budget.done += 1
            if self._tuner is not None:
                self._tuner.after_step(time.monotonic() - started)

    def _step(self, fraction: float) -> None:
        rng = np.random.default_rng([self.config.seed, self.member.steps])
        size, shape = self.patch.batch, self.patch.shape
        batch = draw_boxed_batch(self._lessons, size=size, shape=shape, augmentation=self._augmentation, rng=rng)
        classes = self.compute.to_device(mark_classes(batch.masks, flat=self._flat)[:, None])[:, 0]

        def measure(logits: Tensor) -> Tensor:
            return softmax_loss(logits, classes, known=classes != UNLABELLED, class_weights=self._weights)

        self.member.step(batch.image, measure, fraction=fraction)

    def _balance(self) -> Tensor:
        """Weigh the classes so that each has the same influence."""
        counts = torch.zeros(N_MAPS, dtype=torch.int64)
        for lesson in self._lessons:
            classes = mark_classes(torch.from_numpy(lesson.annotated.masks.astype(np.int64))[None], flat=self._flat)
            counts += torch.bincount(classes[classes != UNLABELLED], minlength=N_MAPS)
        return balance_classes(counts, strength=1.0).to(self.compute.device)

    def reference(self) -> Reference:
        """Give the network as it is now."""
        z, y, x = (_TILE_ACROSS * side for side in self.patch.shape)
        sizes = np.concatenate([np.bincount(ids[ids > 0])[1:] for ids in self.painted])
        typical_vox = float(np.median(sizes[sizes > 0]))
        return Reference(self.member.snapshot(), self.compute, (z, y, x), self.multiple, typical_vox)

    def see(self, regions: Sequence[Region | None]) -> list[Seen]:
        """Tell the maps of a region of each volume and of what lies around it; nothing of those without."""
        reference, found = self.reference(), []
        for sample, painted, annotated, region in zip(self.samples, self.painted, self.annotated, regions, strict=True):
            if region is None:
                continue
            cut = tuple(
                slice(max(0, low - round(more)), min(size, high + round(more)))
                for (low, high), more, size in zip(region, self.scheme.largest, annotated.shape, strict=True)
            )
            maps = reference.find_maps(annotated.view.image[(slice(None), *cut)])
            found.append(Seen(maps, _cut_out(sample.volume, painted, annotated, region=region, cut=cut)))
        return found


def _rows_in(annotated: Annotated, region: Region) -> NDArray[np.int64]:
    """Which objects have their centre in a region."""
    return np.flatnonzero(annotated.lie_in(region)) + 1


def _mark(region: Region, shape: Sequence[int]) -> NDArray[np.bool_]:
    inside = np.zeros(shape, np.bool_)
    inside[tuple(slice(low, high) for low, high in region)] = True
    return inside


def _cut_out(
    volume: Volume, painted: IntLabels, annotated: Annotated, *, region: Region, cut: tuple[slice, ...]
) -> Piece:
    """Count objects with their centre in a region; ignore others, and what is neither in it nor of such an object."""
    counted = np.isin(painted, _rows_in(annotated, region))
    elsewhere = int(painted.max()) + 1
    truth = np.where(counted, painted, elsewhere)
    truth[_mark(region, painted.shape) & (painted == 0)] = 0
    data = np.asarray(volume.data[(slice(None), *cut)])
    return Piece(replace(volume, data=data), truth[cut].astype(np.int32), np.array([elsewhere], np.int32))


def train_reference(samples: Sequence[Sample], painted: Sequence[IntLabels], *, config: BoxesConfig) -> Reference:
    """Train for the minutes or steps of a config; choosing thresholds is not counted, which ours has to find time for.

    Parameters
    ----------
    samples
        Volumes with boxes and, where all is masked, a region.
    painted
        Of each, as ``paint_fully`` gives it.
    """
    training = Training(samples, painted, config=config)
    budget = Budget(config.minutes * 60, steps=config.steps)
    training.learn(without_held_out=True)
    training.train(budget, until=_SCORED_AT)
    budget.pause()
    occasions = [training.see([None if split is None else split.held_out for split in training.held_out])]
    budget.resume()
    training.learn(without_held_out=False)
    training.train(budget, until=1.0)
    occasions.append(training.see([annotated.known for annotated in training.annotated]))
    reference = training.reference()
    reference.thresholds = choose_thresholds(occasions, typical_vox=reference.typical_vox)
    return reference
