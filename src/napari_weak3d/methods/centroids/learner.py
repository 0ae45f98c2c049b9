"""Training on clicks: first where cells are, then what belongs to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.centroids.config import CentroidsConfig, PseudoLabels
from napari_weak3d.methods.centroids.holding_out import USUAL, choose_held_out
from napari_weak3d.methods.centroids.networks import Pair, build_nets
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.previewing import preview_slice
from napari_weak3d.methods.centroids.pseudo import N_CLASSES
from napari_weak3d.methods.centroids.refine import focal_loss, refinement_loss
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.scheme import Calibration, Scheme
from napari_weak3d.methods.centroids.targets import weigh_cells
from napari_weak3d.methods.centroids.volumes import (
    Annotated,
    annotate,
    find_forgotten,
    make_labels,
    settle_clicks,
)
from napari_weak3d.nn.augment import Augmentation
from napari_weak3d.nn.checkpoint import LogRow
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.greys import GreyRanges
from napari_weak3d.nn.losses import balance_classes, softmax_loss
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.patch_size import PatchSize, fit_patch
from napari_weak3d.nn.sampling import Batch, Source, Spots, draw_batch, find_spots
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.nn.threads import ThreadTuner
from napari_weak3d.nn.unet3d import UNet3D
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import Centroids, Preview, Sample, SliceIndex

AUGMENTATION = Augmentation(
    rotate_chance=0.7,
    scale_chance=0.8,
    scale=1.6,
    least_z_zoom=0.6,
    elastic_chance=0.3,
    greys=GreyRanges(chance=0.7, gain=1.28, noise=0.3, blur_chance=0.1),
)
"""Cells of early and late stages are found too: they are shown 0.6 to 1.6 times as large (ours)."""
_TRANSMITTED = replace(AUGMENTATION, flip_chance=0, swapped_axes=(1, 2), out_of_plane_degrees=0)
"""Above the focus fringes are the opposite of those below: light comes from one side (ours)."""
_ON_CLICKS = 0.7
"""Share of the patches of centres around a click, evenly over clicks: drawn by voxels, large cells would be shown more
often, and a quarter of the patches would show none (ours)."""
_TOP = 0.7
"""The focal loss acts above this; the paper's number."""
_BALANCE = 0.25
"""How far rare classes of the mask count more (ours; 0 not at all, 1 as much as all others)."""
_FORGOTTEN = 0.5
"""Least height of a peak without click to be taken for a cell that was forgotten (ours)."""
_NO_RESPONSES = "learning masks from the image alone: the response maps are of other clicks"
CENTRES, MASKS = 0, 1
"""Number of the network."""


@dataclass(frozen=True)
class Lesson:
    """What a network is taught: volumes with targets, where patches may lie, and weights of its classes."""

    sources: list[Source]
    spots: Spots
    class_weights: Tensor


@dataclass(eq=False)
class Learner:
    """Two networks, data and schedule of one training; what ``nn.loop`` drives.

    The phase says who is stepped: the network of centres until masks can be made, then that of masks; after new
    clicks both in turn.
    """

    samples: tuple[Sample, ...]
    scheme: Scheme
    config: CentroidsConfig
    compute: Compute
    save_to: Callable[[Learner], None]
    annotated: list[Annotated]
    calibration: Calibration | None = None
    f1_held_out: tuple[NDArray[np.float64], int] | None = None
    """Marker F1 at each threshold in question, and number of clicks, once they were scored."""
    peaks: list[Peaks] = field(default_factory=list)
    """Of each volume, as the first network saw it last; none before it was asked."""
    hears: bool = False
    """Whether the first network is good enough to say that cells were forgotten."""
    settled: list[Annotated] = field(default_factory=list)
    """With clicks in the middle of their cells; none as long as the first network has not said where that is."""
    responses: list[NDArray[np.float32]] = field(default_factory=list)
    """Of each volume's cells, (Z, Y, X); none where pseudo labels are made of the image alone."""
    knows_masks: bool = False
    """Whether the model that this training began with had learned masks."""
    notice: str = "learning centres"
    log: list[LogRow] = field(default_factory=list)
    fraction: float = 0.0
    """Of the budget, at the last checkpoint."""

    def __post_init__(self) -> None:
        torch.manual_seed(self.config.seed)
        self.members = [
            Member(
                net.to(memory_format=self.compute.precision.memory_format),  # type: ignore[call-overload]  # not in torch's stubs
                compute=self.compute,
                learning_rate=self.config.learning_rate,
                freezes_norms_if_short=True,
            )
            for net in build_nets(self.scheme, self.config)
        ]
        self._patch = self._choose_patch()
        self._began, self._steps_before = time.monotonic(), 0
        self._n_threads = torch.get_num_threads()
        # A number of steps promises the same model to the bit, which another number of threads would not give.
        tunes = self.compute.device.type == "cpu" and not self.config.steps
        self._tuner = ThreadTuner(self._n_threads, set_threads=torch.set_num_threads) if tunes else None
        self._lessons: dict[int, Lesson] = {}
        self._edges: dict[int, tuple[object, NDArray[np.float32]]] = {}
        self._both = False
        self.held_out = [self._hold_out(each) for each in self.annotated]

    # ---- what is learned

    def _hold_out(self, annotated: Annotated) -> NDArray[np.bool_]:
        return choose_held_out(annotated, share=self.config.held_out, seed=self.config.seed)

    def learn_centres(self, *, without_held_out: bool) -> None:
        """Prepare the first network's lesson."""
        maps = [each.centre_map(self.config) for each in self.annotated]
        labels = [
            make_labels(centre, each.learnable() & ~held_out if without_held_out else each.learnable())
            for centre, each, held_out in zip(maps, self.annotated, self.held_out, strict=True)
        ]
        weights = weigh_cells(maps, [each.cells for each in self.annotated])
        sources = [
            Source(each.view, label, np.stack([centre, weight]), each.spacing)
            for each, label, centre, weight in zip(self.annotated, labels, maps, weights, strict=True)
        ]
        clicked = [
            replace(source, labels=each.mark_clicks(source.labels))
            for each, source in zip(self.annotated, sources, strict=True)
        ]
        spots = replace(find_spots(clicked, n_classes=2), shares=(1 - _ON_CLICKS, _ON_CLICKS))
        self._lessons[CENTRES] = Lesson(sources, spots, torch.ones(2))

    def learn_masks(self) -> None:
        """Make pseudo labels, and prepare the second network's lesson."""
        as_asked = self.responses or self.config.pseudo_labels is PseudoLabels.IMAGE
        self.notice = "learning masks" if as_asked else _NO_RESPONSES
        share = 0.5 if self.config.pseudo_labels is PseudoLabels.BOTH else 1.0
        nothing: list[NDArray[np.float32] | None] = [None] * len(self.annotated)
        sources = [
            Source(
                each.view,
                each.mask_targets(responses=response, response_share=share),
                np.stack([self._find_edges(number), each.known]),
                each.spacing,
            )
            for number, (each, response) in enumerate(
                zip(self.settled or self.annotated, self.responses or nothing, strict=True)
            )
        ]
        spots = find_spots(sources, n_classes=N_CLASSES)
        weights = balance_classes(torch.tensor(spots.counts), strength=_BALANCE).to(self.compute.device)
        self._lessons[MASKS] = Lesson(sources, spots, weights)

    def _find_edges(self, number: int) -> NDArray[np.float32]:
        """Edges of a volume's image, found anew only where other clicks say that it is to be seen otherwise."""
        each = (self.settled or self.annotated)[number]
        seen_as = (each.look.channel, each.look.transmitted, each.region)
        if number not in self._edges or self._edges[number][0] != seen_as:
            self._edges[number] = (seen_as, each.edges(self.config))
        return self._edges[number][1]

    def leave_out_forgotten(self) -> None:
        """Teach nothing around what the first network takes for cells without a click, where it is heard."""
        if self.hears:
            self.annotated = [
                replace(each, forgotten=find_forgotten(each, peaks.above(_FORGOTTEN)))
                for each, peaks in zip(self.annotated, self.peaks, strict=True)
            ]

    def settle(self, *, looks: Sequence[CellLook | None] = ()) -> None:
        """Move clicks to the middles that the first network saw; cells are measured there again, without looks."""
        self.settled = [
            settle_clicks(each, peaks.above(self.peak_threshold), config=self.config, look=look)
            for each, peaks, look in zip(
                self.annotated, self.peaks, looks or (None,) * len(self.annotated), strict=True
            )
        ]

    # ---- steps

    def step(self, fraction: float) -> Mapping[str, float]:
        """Step the network whose turn it is; on less memory than needed, go on with less at a time."""
        number = self._whose_turn()
        started = time.monotonic()
        try:
            loss = self._step(number, fraction)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._shrink()
            return {}
        if self._tuner is not None:
            self._tuner.after_step(time.monotonic() - started)
        self.log.append(LogRow(self._steps_before + self._steps, time.monotonic() - self._began, number, loss))
        return {"loss": loss}

    def _whose_turn(self) -> int:
        if MASKS not in self._lessons:
            return CENTRES
        return self._steps % 2 if self._both else MASKS

    def _step(self, number: int, fraction: float) -> float:
        member, lesson = self.members[number], self._lessons[number]
        batch = draw_batch(
            lesson.sources,
            lesson.spots,
            size=self._patch.batch,
            shape=self._patch.shape,
            augmentation=_TRANSMITTED if self.scheme.look.transmitted else AUGMENTATION,
            rng=np.random.default_rng([self.config.seed, number, member.steps]),
        )
        loss = self._centre_loss(batch) if number == CENTRES else self._mask_loss(batch)
        return member.step(batch.image, loss, fraction=self._own_progress(number, fraction))

    def _own_progress(self, number: int, fraction: float) -> float:
        """How much of a network's own training is over, 0..1."""
        share = self.config.centre_share
        own = fraction / share if number == CENTRES else (fraction - share) / (1 - share)
        # New clicks come when the first network's training is over: it goes on gently.
        return min(max(own, 0.0), 0.95)

    @property
    def _steps(self) -> int:
        return sum(member.steps for member in self.members)

    def _centre_loss(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        labels, (target, weight) = batch.labels.to(self.compute.device), batch.maps.to(self.compute.device).unbind(1)
        known = labels != UNLABELLED
        counted = weight * known

        def loss(logits: Tensor) -> Tensor:
            entropy = F.binary_cross_entropy_with_logits(logits[:, 0], target, reduction="none")
            mean = (entropy * counted).sum() / counted.sum().clamp(min=1)
            return mean + self.config.focal_weight * focal_loss(logits[:, 0], target, known=known, above=_TOP)

        return loss

    def _mask_loss(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        labels, (edges, clicked) = batch.labels.to(self.compute.device), batch.maps.to(self.compute.device).unbind(1)
        weights = self._lessons[MASKS].class_weights

        def loss(logits: Tensor) -> Tensor:
            value = softmax_loss(logits, labels, known=labels != UNLABELLED, class_weights=weights)
            if self.config.refinement_weight == 0:
                return value
            refined = refinement_loss(
                1 - logits.softmax(1)[:, 0],
                edges,
                known=clicked > 0.5,
                spacings=batch.spacings,
                sigma_vox=self.config.refinement_sigma,
                power=self.config.refinement_power,
            )
            return value + self.config.refinement_weight * refined

        return loss

    def _choose_patch(self) -> PatchSize:
        net = self.members[0].net
        assert isinstance(net, UNet3D)
        smallest = [min(each.shape[axis] for each in self.annotated) for axis in range(3)]
        finest = min(self.scheme.spacing)
        sides = [
            min(round(self.config.patch * finest / along), size)
            for along, size in zip(self.scheme.spacing, smallest, strict=True)
        ]
        shape = fit_patch(sides, multiple=net.multiple)
        return PatchSize(shape, max(1, self.config.pixels // int(np.prod(shape))), net.multiple)

    def _shrink(self) -> None:
        before, self._patch = self._patch, self._patch.smaller(width=self.config.width)
        self.notice = self._patch.describe_after(before)
        for member in self.members:
            member.forget_batches()

    def continue_log(self, rows: Sequence[LogRow]) -> None:
        """Log after these rows of an earlier training; members have their steps by then."""
        if rows:
            self.log = list(rows)
            self._began -= rows[-1].seconds
            self._steps_before = max(0, rows[-1].step - self._steps)

    # ---- what the loop asks for

    @property
    def peak_threshold(self) -> float:
        """Least height of a peak, as far as is known now."""
        return USUAL if self.calibration is None else self.calibration.peak_threshold

    @property
    def has_masks(self) -> bool:
        """Whether the second network has learned anything, now or before."""
        return self.knows_masks or self.members[MASKS].steps > 0

    def pair(self) -> Pair:
        """Give the networks as they are now, to predict with."""
        centre, mask = (member.snapshot() for member in self.members)
        assert isinstance(centre, UNet3D)
        assert isinstance(mask, UNet3D)
        return Pair(centre, mask if self.has_masks else None, self.compute, self.config)

    def show(self, where: SliceIndex, *, sample: int) -> Preview:
        """Predict one slice with what there is; beyond the volume, the nearest slice there is."""
        axis, index = where[0], min(max(where[1], 0), self.annotated[sample].shape[where[0]] - 1)
        return preview_slice(
            self.annotated[sample],
            (axis, index),
            pair=self.pair(),
            scheme=self.scheme,
            threshold=self.peak_threshold,
            sample=sample,
        )

    def take(self, samples: tuple[Sample, ...]) -> None:
        """Learn from these clicks from now on; what cells look like stays what it was."""
        if [sample.volume.shape for sample in samples] != [sample.volume.shape for sample in self.samples]:
            self.notice = "other images were opened: they are not part of this training"
            return
        if not all(isinstance(s.annotation, Centroids) and len(s.annotation.points_vox) for s in samples):
            self.notice = "nothing is clicked any more: going on with the clicks there were"
            return
        self.samples = tuple(replace(each, volume=self.scheme.measure(each.volume)) for each in samples)
        self.annotated = [
            annotate(sample, old.view, config=self.config, look=old.look)
            for sample, old in zip(self.samples, self.annotated, strict=True)
        ]
        if self.calibration is None:  # of few clicks none is held out: there may be enough by now
            self.held_out = [
                held_out if held_out.any() else self._hold_out(each)
                for held_out, each in zip(self.held_out, self.annotated, strict=True)
            ]
        self.leave_out_forgotten()
        if self.settled:
            self.settle(looks=[each.look for each in self.settled])
        self.responses = []  # of other clicks: tracing them again would hold up whoever corrects
        self.learn_centres(without_held_out=self.calibration is None)
        if MASKS in self._lessons:
            self.learn_masks()
            self._both = True

    def save(self, fraction: float) -> None:
        """Write a checkpoint."""
        self.fraction = fraction
        self.save_to(self)

    def close(self) -> None:
        """Give back all threads."""
        torch.set_num_threads(self._n_threads)


def annotate_all(samples: Sequence[Sample], *, config: CentroidsConfig) -> list[Annotated]:
    """Read and normalise all volumes, and put them together with their clicks."""
    return [annotate(sample, view_volume(sample.volume), config=config) for sample in samples]
