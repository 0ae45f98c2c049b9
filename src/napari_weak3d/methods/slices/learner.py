"""Training an ensemble on painted slices: what is drawn, what is held out, who is stepped when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from napari_weak3d.errors import AnnotationError, ConfigError
from napari_weak3d.methods.slices.config import Network, SlicesConfig
from napari_weak3d.methods.slices.ensemble import Ensemble, build_net, view_volume
from napari_weak3d.methods.slices.object_paint import is_all_whole
from napari_weak3d.methods.slices.previewing import count_affordable, preview_slice
from napari_weak3d.methods.slices.scheme import Calibration, Scheme
from napari_weak3d.methods.slices.targets import (
    BACKGROUND,
    OBJECT,
    PlaneTargets,
    extend_split,
    labelled_planes,
    make_class_targets,
    make_object_targets,
    split_planes,
)
from napari_weak3d.nn.augment import PAPER_AUGMENTATION, Augmentation
from napari_weak3d.nn.checkpoint import LogRow
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.greys import GreyRanges
from napari_weak3d.nn.losses import balance_classes, dice_loss, map_loss, softmax_loss
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.sampling import Batch, Shape, Source, draw_batch, find_spots
from napari_weak3d.nn.threads import ThreadTuner
from napari_weak3d.nn.unet import PlanarUNet
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import AXES, Preview, Sample, SliceIndex, Slices, Spacing

AUGMENTATION = Augmentation(
    rotate_chance=1,
    scale_chance=1,
    scale=1.28,
    elastic_chance=1,
    greys=GreyRanges(chance=1, gain=1.28, gamma=1.0, noise=0.3, blur_chance=0.1),
)
"""Every patch is turned, zoomed and bent: with three slices, variety is what is missing (ours, measured)."""
_MAP_INFLUENCE = 4.0
"""Of the map loss, whose values are small, beside the others (ours)."""
_PAPER_PATCH: Shape = (116, 132, 132)
_SMALLEST_PATCH = 32
_FLAT = 1e3
"""How much longer than wide a voxel is said to be, so that patches of one plane are never tilted."""


@dataclass(eq=False)
class Learner:
    """Members, data and schedule of one training; what ``nn.loop`` drives.

    First each member in turn learns without the slices it holds out (the first ``scoring_share`` of the budget), then
    all learn from all. So a few seconds after the start one member is already of use, the held-out score is honest,
    and no paint is lost to the result.
    """

    samples: tuple[Sample, ...]
    scheme: Scheme
    config: SlicesConfig
    compute: Compute
    save_to: Callable[[Learner], None]
    seen_before: Sequence[frozenset[int]] = ()
    calibration: Calibration | None = None
    is_scored: bool = False
    """Whether the score of the calibration is that of this training; else it comes with the model to go on from."""
    notice: str = "training"
    log: list[LogRow] = field(default_factory=list)
    fraction: float = 0.0
    """Of the budget, at the last checkpoint."""

    def __post_init__(self) -> None:
        self.views = [view_volume(sample.volume, scheme=self.scheme, config=self.config) for sample in self.samples]
        torch.manual_seed(self.config.seed)
        self.members = [
            Member(build_net(self.scheme, self.config), compute=self.compute, learning_rate=self.config.learning_rate)
            for _ in range(self.config.members)
        ]
        self._prefetcher = ThreadPoolExecutor(1)
        self._prefetched: tuple[tuple[int, int, int], Future[Batch]] | None = None
        self._patch = self._choose_patch()
        self._batch_size = self._choose_batch_size()
        self._began, self._steps_before = time.monotonic(), 0
        self._n_threads = torch.get_num_threads()
        # A number of steps promises the same model to the bit, which another number of threads would not give.
        tunes = self.compute.device.type == "cpu" and not self.config.steps
        self._tuner = ThreadTuner(self._n_threads, set_threads=torch.set_num_threads) if tunes else None
        self.targets: list[PlaneTargets] = []
        self.held_out: list[list[tuple[int, ...]]] = []
        targets = [self._make_targets(sample) for sample in self.samples]
        self._check_objects(targets)
        self._learn_from(targets)

    # ---- data

    def _check_objects(self, targets: Sequence[PlaneTargets]) -> None:
        """Of painted objects, complete slices along the stack teach alone: raise AnnotationError where none has any."""
        if self.scheme.paint == "classes" or any((item.labels > BACKGROUND).any() for item in targets):
            return
        axis = AXES[self.scheme.stack_axis]
        where = " inside the region" if any(sample.region for sample in self.samples) else ""
        raise AnnotationError(
            f"no complete slice along {axis} has an object{where}, and objects are learned from such slices: complete "
            f"one along {axis} that has",
            where="annotated",
        )

    def _learn_from(self, targets: list[PlaneTargets]) -> None:
        """Settle what members hold out, and where patches lie."""
        n_members = len(self.members)
        if self.targets:
            splits = [
                extend_split(new, before=old, parts=[planes[sample] for planes in self.held_out])
                for sample, (new, old) in enumerate(zip(targets, self.targets, strict=True))
            ]
        else:
            splits = [split_planes(new, n_parts=n_members) for new in targets]
        self.targets = targets
        seen = self.seen_before or [frozenset[int]()] * len(targets)
        # What a model that we start from has seen, it cannot be tested on.
        self.held_out = [
            [
                tuple(plane for plane in split[m] if plane not in known)
                for split, known in zip(splits, seen, strict=True)
            ]
            for m in range(n_members)
        ]
        nothing: list[tuple[int, ...]] = [()] * len(targets)
        everything = self._make_sources(nothing)
        spots = find_spots(everything, n_classes=self.scheme.n_classes)
        for m in range(n_members):
            if not any(spots.without(self.held_out[m]).counts):
                self.held_out[m] = nothing  # all else was rubbed out: better no score than nothing to learn from
        self._sources = [*(self._make_sources(planes) for planes in self.held_out), everything]
        self._spots = [*(spots.without(planes) for planes in self.held_out), spots]
        self.notice = self._say_what_teaches()
        counts = torch.tensor(self._spots[-1].counts)
        self._class_weights = balance_classes(counts, strength=self.config.balance).to(self.compute.device)
        self._prefetched = None

    def _say_what_teaches(self) -> str:
        """The notice to train under: of painted objects, some may teach nothing."""
        if self.scheme.paint == "classes":
            return "training"
        axis = self.scheme.stack_axis
        if all(is_all_whole(s.annotation, stack_axis=axis) for s in self.samples if isinstance(s.annotation, Slices)):
            return "training"
        return f"training on complete slices along {AXES[axis]}; other painted objects are kept, not learned from"

    def _make_targets(self, sample: Sample) -> PlaneTargets:
        slices = sample.annotation
        assert isinstance(slices, Slices)
        axis, region = self.scheme.stack_axis, sample.region
        if self.scheme.paint == "classes":
            return make_class_targets(slices, classes=self.scheme.classes, stack_axis=axis, region=region)
        return make_object_targets(slices, stack_axis=axis, spacing=sample.volume.spacing, region=region)

    def _make_sources(self, without: Sequence[tuple[int, ...]]) -> list[Source]:
        return [
            Source(view, targets.labels, targets.maps, self._patch_spacing(sample.volume.spacing), hidden=planes)
            for view, targets, planes, sample in zip(self.views, self.targets, without, self.samples, strict=True)
        ]

    def _patch_spacing(self, spacing: Spacing) -> Spacing:
        stack, row, column = self.scheme.stacked(spacing)
        flat = self.config.network is Network.PLANAR
        return (max(stack, _FLAT * max(row, column)) if flat else stack), row, column

    def _choose_patch(self) -> Shape:
        if self.config.network is Network.PAPER:
            return _PAPER_PATCH
        smallest = [min(view.shape[axis] for view in self.views) for axis in (2, 3)]
        y, x = (self._round_patch(min(self.config.patch, side), axis) for axis, side in enumerate(smallest))
        return 1, y, x

    def _round_patch(self, side: int, axis: int) -> int:
        """Round up to what the network takes; two pixels at its coarsest level, of one there are no statistics."""
        net = self.members[0].net
        assert isinstance(net, PlanarUNet)
        step = net.multiple[1 + axis]
        return max(2 * step, -(-side // step) * step)

    def _choose_batch_size(self) -> int:
        return max(1, self.config.pixels // int(np.prod(self._patch)))

    def _draw(self, number: int, steps: int, spots_of: int) -> Batch:
        return draw_batch(
            self._sources[spots_of],
            self._spots[spots_of],
            size=self._batch_size,
            shape=self._patch,
            augmentation=PAPER_AUGMENTATION if self.config.network is Network.PAPER else AUGMENTATION,
            rng=np.random.default_rng([self.config.seed, number, steps]),
        )

    def _next_batch(self, number: int, spots_of: int) -> Batch:
        """Take the batch that was drawn ahead, if it is the right one, and have the next one drawn meanwhile.

        Only where a GPU computes: on a processor, drawing ahead takes the cores that the step waits for (measured:
        slower by half).
        """
        key = (number, self.members[number].steps, spots_of)
        if self.compute.device.type == "cpu":
            return self._draw(*key)
        if self._prefetched is not None and self._prefetched[0] == key:
            batch = self._prefetched[1].result()
        else:
            batch = self._draw(*key)
        all_in_turn = spots_of == len(self.members)
        ahead = (number + 1) % len(self.members) if all_in_turn else number
        following = (ahead, self.members[ahead].steps + (ahead == number), spots_of)
        self._prefetched = following, self._prefetcher.submit(self._draw, *following)
        return batch

    # ---- steps

    @property
    def ready(self) -> list[Member]:
        """Members fit to predict: those that have at least half the steps of the most advanced one."""
        most = max(member.steps for member in self.members)
        return [member for member in self.members if member.steps > 0 and 2 * member.steps >= most] or self.members[:1]

    def ensemble(self, nets: Sequence[nn.Module]) -> Ensemble:
        """Let networks of members predict together."""
        return Ensemble(nets, self.compute, self.scheme, self.config)

    def step(self, fraction: float) -> Mapping[str, float]:
        """Step the member whose turn it is; on less memory than needed, go on with smaller batches or patches."""
        number, progress, spots_of = self._whose_turn(fraction)
        started = time.monotonic()
        try:
            batch = self._next_batch(number, spots_of)
            loss = self.members[number].step(batch.image, self._loss_of(batch), fraction=progress)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._shrink()
            return {}
        if self._tuner is not None:
            self._tuner.after_step(time.monotonic() - started)
        self.log.append(LogRow(self._steps_before + self._steps, time.monotonic() - self._began, number, loss))
        return {"loss": loss}

    def _whose_turn(self, fraction: float) -> tuple[int, float, int]:
        """Member, its own progress 0..1, and whose spots it draws from (one past the members: all)."""
        share, n = (self.config.scoring_share if any(map(any, self.held_out)) else 0.0), len(self.members)
        if fraction < share:
            number = min(n - 1, int(fraction / share * n))
            return number, fraction * n - number * share, number
        return self._steps % n, fraction, n

    @property
    def _steps(self) -> int:
        """Of all members, in this training and, where it goes on from an unfinished one, in that."""
        return sum(member.steps for member in self.members)

    def _loss_of(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        device = self.compute.device
        labels, maps = batch.labels.to(device), batch.maps.to(device)

        def loss(logits: Tensor) -> Tensor:
            target = _crop_centre(labels, logits.shape[2:])
            known = target != UNLABELLED
            classes, map_logits = logits[:, : self.scheme.n_classes], logits[:, self.scheme.n_classes :]
            value = softmax_loss(classes, target, known=known, class_weights=self._class_weights)
            value = value + dice_loss(classes, target, known=known)
            if self.scheme.n_maps:
                inside = 0.3 + 2.0 * (target >= OBJECT)
                expected = _crop_centre(maps, logits.shape[2:])
                value = value + _MAP_INFLUENCE * map_loss(map_logits, expected, known=known, weights=inside)
            return value

        return loss

    def _shrink(self) -> None:
        if self._batch_size > 1:
            self._batch_size //= 2
            self.notice = f"out of memory: going on with {self._batch_size} patches a step"
        elif self.config.network is Network.PLANAR and (smaller := self._halve_patch()) != self._patch:
            self._patch = smaller
            self.notice = f"out of memory: going on with patches of {smaller[1]} x {smaller[2]} pixels"
        else:
            raise ConfigError(
                f"out of memory even with one patch of {' x '.join(map(str, self._patch))} voxels: close other "
                "programs, choose a smaller width, or device cpu",
                where="width",
                value=self.config.width,
            )
        self._prefetched = None

    def _halve_patch(self) -> Shape:
        halves = [max(min(side, _SMALLEST_PATCH), side // 2) for side in self._patch[1:]]
        y, x = (
            min(side, self._round_patch(half, axis))
            for axis, (side, half) in enumerate(zip(self._patch[1:], halves, strict=True))
        )
        return 1, y, x

    def continue_log(self, rows: Sequence[LogRow]) -> None:
        """Log after these rows of an earlier training; members have their steps by then."""
        if rows:
            self.log = list(rows)
            self._began -= rows[-1].seconds
            self._steps_before = max(0, rows[-1].step - self._steps)

    # ---- what the loop asks for

    def show(self, where: SliceIndex, *, sample: int) -> Preview:
        """Predict one slice with the members there are; beyond the volume, the nearest slice there is."""
        axis, index = where[0], min(max(where[1], 0), self.samples[sample].volume.shape[where[0]] - 1)
        members = sorted(self.ready, key=lambda member: -member.steps)
        if self.compute.device.type == "cpu":
            members = members[: count_affordable(self.views[sample], (axis, index), scheme=self.scheme)]
        return preview_slice(
            self.views[sample],
            (axis, index),
            ensemble=self.ensemble([member.snapshot() for member in members]),
            biases=(0.0,) * self.scheme.n_classes if self.calibration is None else self.calibration.biases,
            sample=sample,
        )

    def take(self, samples: tuple[Sample, ...]) -> None:
        """Learn from this annotation from now on; what does not fit this training is left out, and said."""
        if [sample.volume.shape for sample in samples] != [sample.volume.shape for sample in self.samples]:
            self.notice = "other images were opened: they are not part of this training"
            return
        annotations = [sample.annotation for sample in samples if isinstance(sample.annotation, Slices)]
        if any(each.paint != self.scheme.paint for each in annotations):
            self.notice = f"this training learns {self.scheme.paint}: going on with the paint there was"
            return
        targets = [self._make_targets(sample) for sample in samples]
        if not any(len(labelled_planes(item)) for item in targets):
            self.notice = "nothing is painted any more: going on with the paint there was"
            return
        self.samples = samples
        self._learn_from(targets)
        known = {row.value for row in self.scheme.classes}
        if new := {row.value: row.name for each in annotations for row in each.classes if row.value not in known}:
            names = ", ".join(new[value] for value in sorted(new))
            self.notice = f"not learned before the next Train: {names} (added since this training began)"

    def save(self, fraction: float) -> None:
        """Write a checkpoint."""
        self.fraction = fraction
        self.save_to(self)

    def close(self) -> None:
        """Stop drawing ahead, and give back all threads."""
        torch.set_num_threads(self._n_threads)
        self._prefetcher.shutdown(wait=True, cancel_futures=True)


def _crop_centre(volume: Tensor, shape: Sequence[int]) -> Tensor:
    """Cut the middle out of (..., Z, Y, X): an unpadded network gives less than it gets."""
    for axis, size in enumerate(shape, start=-3):
        volume = volume.narrow(axis, (volume.shape[axis] - size) // 2, size)
    return volume
