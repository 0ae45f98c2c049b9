"""Where a training begins: a frame that all samples share, a network new or of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_weak3d.errors import ModelError, VolumeError
from napari_weak3d.methods.boxes.anchors import choose_sizes, plan_anchors
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.learner import Learner, fit_scheme
from napari_weak3d.methods.boxes.network import plan_backbone
from napari_weak3d.methods.boxes.scheme import (
    Scheme,
    choose_stem,
    choose_suppression,
    make_classes,
    measure_drawn,
    measure_grain,
)
from napari_weak3d.methods.boxes.storage import Stored
from napari_weak3d.nn.loop import Budget
from napari_weak3d.types import Boxes, Sample

_SAME = ("width", "levels", "roi_size", "deep_masks", "voxel_maps")
"""Settings that a network's weights fit."""


def make_scheme(samples: Sequence[Sample], *, config: BoxesConfig, start: Stored | None) -> Scheme:
    """Settle the frame that all samples share; that of the model to go on from, where there is one.

    How large the larger boxes are and how much they overlap is taken from the boxes there are now in any case.

    Raises
    ------
    ModelError
        The images have other channels than those of that model, or boxes are of a class that it does not know.
    VolumeError
        Images differ in their channels.
    """
    first, channels = samples[0].volume, {sample.volume.n_channels for sample in samples}
    if len(channels) > 1:
        raise VolumeError(f"the images have different numbers of channels, {sorted(channels)}: choose the same ones")
    drawn = [sample.annotation for sample in samples if isinstance(sample.annotation, Boxes)]
    if start is not None:
        _check_start(start.scheme, channels=first.n_channels, drawn=drawn)
        return fit_scheme(start.scheme, drawn)
    typical, largest = measure_drawn(drawn)
    stem = choose_stem(typical, most=config.stem)
    _, strides = plan_backbone(measure_grain(typical), stem=stem, levels=config.levels)
    sizes = choose_sizes(drawn, count=config.anchor_sizes, rng=np.random.default_rng(config.seed))
    return Scheme(
        channels=first.n_channels,
        spacing=first.spacing,
        unit=first.unit,
        classes=make_classes(drawn),
        stem=stem,
        anchors=plan_anchors(sizes, strides=strides),
        typical=typical,
        largest=largest,
        suppress_iou=choose_suppression(drawn),
    )


def _check_start(scheme: Scheme, *, channels: int, drawn: Sequence[Boxes]) -> None:
    if scheme.channels != channels:
        raise ModelError(
            f"the model to go on from knows {scheme.channels} channel(s), not {channels}: train a new one",
            where="from",
            option="without --from",
        )
    values = sorted({int(value) for boxes in drawn for value in boxes.classes} - set(scheme.class_values.tolist()))
    if values:
        raise ModelError(
            f"the model to go on from knows no boxes of class {values[0]}: train a new one",
            where="from",
            value=values[0],
            option="without --from",
        )


def go_on(learner: Learner, stored: Stored, *, budget: Budget) -> None:
    """Begin where a model stands.

    Raises
    ------
    ModelError
        The model's network is not the one that is trained now.
    """
    if any(getattr(stored.config, name) != getattr(learner.config, name) for name in _SAME):
        raise ModelError(
            f"the model to go on from was trained with another {' or '.join(_SAME)}: set the same, or train a new one",
            where="from",
            option="without --from",
        )
    try:
        if stored.resume is not None:
            learner.load_state(stored.resume, stored=stored.weights)
        else:
            learner.member.start_from(stored.weights)
    except (RuntimeError, KeyError, ValueError, IndexError) as error:
        raise ModelError(
            f"the weights of the model to go on from do not fit its network: {error}", where="from"
        ) from None
    learner.continue_log(stored.log)
    if stored.resume is not None:
        learner.calibration, learner.held_out_sighting = stored.calibration, stored.sighting
        if learner.config.has_same_budget(stored.config):
            budget.skip(stored.fraction)
