"""Training on boxes and masks: one network, stepped on patches in which all objects are boxed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from napari_weak3d.methods.boxes.completing import keep_completed
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.dense import N_MAPS, find_flat, mark_classes
from napari_weak3d.methods.boxes.drawing import (
    AUGMENTATION,
    Lesson,
    draw_boxed_batch,
    find_swappable,
    make_lesson,
)
from napari_weak3d.methods.boxes.finding import Finder
from napari_weak3d.methods.boxes.holding_out import Sighting, Split, choose_held_out
from napari_weak3d.methods.boxes.network import BoxNetwork
from napari_weak3d.methods.boxes.objective import Objective
from napari_weak3d.methods.boxes.previewing import preview_slice
from napari_weak3d.methods.boxes.scheme import Calibration, Scheme, choose_suppression, measure_drawn
from napari_weak3d.methods.boxes.volumes import Annotated, annotate
from napari_weak3d.nn.checkpoint import LogRow
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.losses import balance_classes
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.patch_size import PatchSize, fit_patch
from napari_weak3d.nn.threads import ThreadTuner
from napari_weak3d.types import Boxes, Preview, Sample, SliceIndex

_log = logging.getLogger(__name__)

_OBJECTS_ACROSS = 3.5
"""Typical objects along a side of a patch (ours): enough whole ones, and enough of what lies between them."""
_LARGE_ACROSS = 1.25
"""And at least so many of the larger ones."""
_MOST_FEATURES = 1 << 17
"""But no more voxels behind the first convolution than these: a step takes memory for each (ours)."""


@dataclass(eq=False)
class Learner:
    """Network, data and schedule of one training; what ``nn.loop`` drives."""

    samples: tuple[Sample, ...]
    scheme: Scheme
    config: BoxesConfig
    compute: Compute
    save_to: Callable[[Learner], None]
    annotated: list[Annotated]
    calibration: Calibration | None = None
    held_out_sighting: Sighting | None = None
    """How well held-out boxes were found, once they were scored."""
    completed: list[Annotated] = field(default_factory=list)
    """The annotated volumes with masks that the network told itself; none as long as it has not."""
    completing: list[float] = field(default_factory=list)
    """Parts of the budget that telling them took, time by time."""
    notice: str = "learning boxes and masks"
    log: list[LogRow] = field(default_factory=list)
    fraction: float = 0.0
    """Of the budget, at the last checkpoint."""

    def __post_init__(self) -> None:
        torch.manual_seed(self.config.seed)
        self.member = Member(
            build_net(self.scheme, self.config).to(memory_format=self.compute.precision.memory_format),  # type: ignore[call-overload]  # not in torch's stubs
            compute=self.compute,
            learning_rate=self.config.learning_rate,
        )
        self.patch = self._choose_patch()
        self.notice = self._describe_too_large() or self.notice
        self._augmentation = replace(AUGMENTATION, swapped_axes=find_swappable(self.scheme.typical))
        self._began, self._steps_before = time.monotonic(), 0
        self._n_threads = torch.get_num_threads()
        # A number of steps promises the same model to the bit, which another number of threads would not give.
        tunes = self.compute.device.type == "cpu" and not self.config.steps
        self._tuner = ThreadTuner(self._n_threads, set_threads=torch.set_num_threads) if tunes else None
        self._lessons: list[Lesson] = []
        self._flat = find_flat(self.scheme.typical)
        self._map_weights: Tensor | None = None
        self._usual_positives = 0.0
        self.held_out: list[Split | None] = []
        self._hold_out()

    def _hold_out(self) -> None:
        self.held_out = [
            choose_held_out(each, share=self.config.held_out, seed=self.config.seed) for each in self.annotated
        ]

    # ---- what is learned

    def learn(self, *, without_held_out: bool) -> None:
        """Prepare what is drawn from."""
        self._lessons = [
            make_lesson(
                each,
                region=split.learned if without_held_out and split is not None else None,
                given=original.has_mask,
            )
            for each, original, split in zip(
                self.completed or self.annotated, self.annotated, self.held_out, strict=True
            )
        ]
        if self.config.voxel_maps:
            self._map_weights = weigh_voxels(self._lessons, flat=self._flat)

    # ---- steps

    def step(self, fraction: float) -> Mapping[str, float]:
        """Step the network; on less memory than needed, go on with less at a time."""
        started = time.monotonic()
        try:
            metrics = self._step(fraction)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._shrink()
            return {}
        if self._tuner is not None:
            self._tuner.after_step(time.monotonic() - started)
        steps = self._steps_before + self.member.steps
        self.log.append(LogRow(steps, time.monotonic() - self._began, 0, metrics["loss"]))
        return metrics

    def _step(self, fraction: float) -> Mapping[str, float]:
        rng = np.random.default_rng([self.config.seed, self.member.steps])
        batch = draw_boxed_batch(
            self._lessons, size=self.patch.batch, shape=self.patch.shape, augmentation=self._augmentation, rng=rng
        )
        objective = Objective(
            batch,
            config=self.config,
            compute=self.compute,
            rng=rng,
            usual_positives=self._usual_positives,
            flat=self._flat,
            map_weights=self._map_weights,
        )

        def measure(net: nn.Module, image: Tensor) -> Tensor:
            assert isinstance(net, BoxNetwork)
            return objective.measure(net, image)

        loss = self.member.learn(batch.image, measure, fraction=fraction)
        self._usual_positives = objective.usual_positives
        if self.member.steps == 1:
            _log.info("anchors per object of the first batch: %s", objective.anchors_per_object)
        return {"loss": loss, **objective.parts}

    def _choose_patch(self) -> PatchSize:
        net = self.member.net
        assert isinstance(net, BoxNetwork)
        smallest = [min(each.shape[axis] for each in self.annotated) for axis in range(3)]
        finest = min(self.scheme.spacing)
        sides = []
        for axis, along in enumerate(self.scheme.spacing):
            wanted = self.config.patch * finest / along
            objects = _OBJECTS_ACROSS * self.scheme.typical[axis], _LARGE_ACROSS * self.scheme.largest[axis]
            sides.append(min(wanted or max(objects), smallest[axis]))
        stem = int(np.prod(self.scheme.stem))
        too_much = float(np.prod(sides)) / (_MOST_FEATURES * stem)
        if too_much > 1 and not self.config.patch:
            sides = [side / too_much ** (1 / 3) for side in sides]
        shape = fit_patch(sides, multiple=net.multiple)
        features = int(np.prod(shape)) // stem
        return PatchSize(shape, max(1, self.config.pixels // features), net.multiple)

    def _shrink(self) -> None:
        before, self.patch = self.patch, self.patch.smaller(width=self.config.width)
        self.member.forget_batches()
        self.notice = "; ".join(filter(None, (self.patch.describe_after(before), self._describe_too_large())))

    def _describe_too_large(self) -> str:
        """Tell of boxes that no patch shows enough of to be learned; nothing where there are none."""
        sizes = np.concatenate([each.boxes[:, 1] - each.boxes[:, 0] for each in self.annotated])
        shown = (np.minimum(sizes, self.patch.shape) / sizes).prod(axis=1)
        count = int((shown < self.config.kept_share).sum())
        patch = " x ".join(map(str, self.patch.shape))
        return f"{count} of {len(sizes)} boxes are larger than a patch ({patch} voxels): not learned" if count else ""

    def continue_log(self, rows: Sequence[LogRow]) -> None:
        """Log after these rows of an earlier training; the network has its steps by then."""
        if rows:
            self.log = list(rows)
            self._began -= rows[-1].seconds
            self._steps_before = max(0, rows[-1].step - self.member.steps)

    # ---- what the loop asks for

    @property
    def has_masks(self) -> bool:
        """Whether shapes are learned, not only boxes."""
        return any(bool(each.has_mask.any()) for each in self.annotated)

    @property
    def completes(self) -> bool:
        """Whether objects with only a box get masks from what is learned of the others."""
        some_have_none = not all(each.has_mask.all() for each in self.annotated)
        return self.config.voxel_maps and self.config.complete_masks and self.has_masks and some_have_none

    @property
    def typical_vox(self) -> float | None:
        """Voxels of a typical object; None where voxel maps can make no objects: of one class, some with masks."""
        if not self.config.voxel_maps or not self.has_masks or len(self.scheme.classes) > 2:
            return None
        sizes = np.concatenate([np.bincount(each.masks.ravel(), minlength=2)[1:] for each in self.annotated])
        return float(np.median(sizes[sizes > 0]))

    def finder(self) -> Finder:
        """Give the network as it is now, to find objects with as a model would."""
        return Finder.calibrated(
            self._snapshot(),
            self.compute,
            self.scheme,
            self.config,
            has_masks=self.has_masks,
            calibration=self.calibration,
        )

    def plain_finder(self) -> Finder:
        """Give the network as it is now, to see what anchors tell, and what voxel maps do; for no masks."""
        return Finder(self._snapshot(), self.compute, self.scheme, self.config, has_masks=False)

    def _snapshot(self) -> BoxNetwork:
        net = self.member.snapshot()
        assert isinstance(net, BoxNetwork)
        return net

    def show(self, where: SliceIndex, *, sample: int) -> Preview:
        """Predict one slice with what there is; beyond the volume, the nearest slice there is."""
        annotated = self.annotated[sample]
        axis, index = where[0], min(max(where[1], 0), annotated.shape[where[0]] - 1)
        return preview_slice(
            annotated.view,
            (axis, index),
            finder=self.finder(),
            spacing=annotated.spacing,
            sample=sample,
        )

    def take(self, samples: tuple[Sample, ...]) -> None:
        """Learn from these boxes from now on."""
        if [sample.volume.shape for sample in samples] != [sample.volume.shape for sample in self.samples]:
            self.notice = "other images were opened: they are not part of this training"
            return
        if not all(isinstance(s.annotation, Boxes) and len(s.annotation.corners) for s in samples):
            self.notice = "there are no boxes any more: going on with those there were"
            return
        known = set(self.scheme.class_values.tolist())
        if any(not set(s.annotation.classes.tolist()) <= known for s in samples if isinstance(s.annotation, Boxes)):
            self.notice = "a new class of boxes needs a new training: going on with the boxes there were"
            return
        self.samples = samples
        before = self.annotated
        self.annotated = [
            annotate(sample, old.view, classes=self.scheme.classes) for sample, old in zip(samples, before, strict=True)
        ]
        completed = self.completed if self.completes else []  # nothing is told any more where no mask is given
        self.completed = [
            keep_completed(self.annotated[number], each, given=before[number].has_mask)
            for number, each in enumerate(completed)
        ]
        self.scheme = fit_scheme(
            self.scheme, [each.annotation for each in samples if isinstance(each.annotation, Boxes)]
        )
        self._hold_out()
        self.learn(without_held_out=self.calibration is None)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on from here, flat, by name."""
        return {**self.member.state(), "usual_positives": torch.tensor(self._usual_positives)}

    def load_state(self, state: dict[str, Tensor], *, stored: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave, and the weights that were stored with it."""
        self.member.load_state(state, stored=stored)
        self._usual_positives = float(state["usual_positives"])

    def save(self, fraction: float) -> None:
        """Write a checkpoint."""
        self.fraction = fraction
        self.save_to(self)

    def close(self) -> None:
        """Give back all threads."""
        torch.set_num_threads(self._n_threads)


def fit_scheme(scheme: Scheme, drawn: Sequence[Boxes]) -> Scheme:
    """Give a frame the size of the larger boxes there are now, and their overlap.

    The typical size stays: the network was planned by it.
    """
    _, largest = measure_drawn(drawn)
    return replace(scheme, largest=largest, suppress_iou=choose_suppression(drawn))


def weigh_voxels(lessons: Sequence[Lesson], *, flat: tuple[int, ...]) -> Tensor:
    """Weigh background, inside and boundary, (3,), so that each has the same influence.

    Counted where boxes are complete: nothing is told of the background elsewhere. As if all objects had masks: where
    few do, the voxels of few would weigh as much as the background of all, and objects would come out fat.
    """
    counts = torch.zeros(N_MAPS)
    boxed = masked = 0.0
    for lesson in lessons:
        annotated = lesson.annotated
        for labels in lesson.label_slabs():
            classes = mark_classes(labels[None], flat=flat)[0, 1:-1]
            counts += torch.bincount(classes[classes >= 0], minlength=N_MAPS)
        sizes = (annotated.boxes[:, 1] - annotated.boxes[:, 0]).prod(axis=1)
        counted = lesson.learned & annotated.lie_in(lesson.region)
        boxed += float(sizes[counted].sum())
        masked += float(sizes[counted & annotated.has_mask].sum())
    counts[1:] *= boxed / max(masked, 1.0)
    return balance_classes(counts, strength=1.0)


def build_net(scheme: Scheme, config: BoxesConfig) -> BoxNetwork:
    """Make an untrained network (torch's global generator gives its weights)."""
    return BoxNetwork(
        2 * scheme.channels,
        len(scheme.classes),
        grain=scheme.grain,
        anchors=scheme.anchors,
        width=config.width,
        levels=config.levels,
        stem=scheme.stem,
        roi_size=config.roi_size,
        deep_masks=config.deep_masks,
        voxel_maps=config.voxel_maps,
    )
