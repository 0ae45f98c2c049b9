"""Where a training begins: in the frame that its samples share, with new networks or with those of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_weak3d.errors import AnnotationError, ModelError, VolumeError
from napari_weak3d.methods.slices.learner import Learner
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.methods.slices.storage import Stored
from napari_weak3d.methods.slices.targets import choose_stack_axis, order_classes, taught_planes
from napari_weak3d.nn.checkpoint import RESUME, check_weights
from napari_weak3d.nn.loop import Budget
from napari_weak3d.types import Sample, Slices


def make_scheme(samples: Sequence[Sample], *, start: Stored | None) -> Scheme:
    """Settle the frame that all samples share; that of the model to go on from, where there is one.

    Raises
    ------
    ModelError
        The samples do not fit into that model's frame.
    AnnotationError
        Some are painted as classes, others as objects; or their background classes differ.
    VolumeError
        Their channels differ.
    """
    annotations = [sample.annotation for sample in samples if isinstance(sample.annotation, Slices)]
    volumes = [sample.volume for sample in samples]
    kinds = {item.paint for item in annotations}
    if len(kinds) > 1:
        raise AnnotationError("some volumes are painted as classes, others as objects: paint all alike", where="paint")
    backgrounds = {row.value for item in annotations for row in item.classes if row.background}
    if len(backgrounds) > 1:
        raise AnnotationError(
            f"the background has different values, {sorted(backgrounds)}, in different annotations: say which",
            where="background",
            option="with --background",
        )
    channels = {volume.n_channels for volume in volumes}
    if len(channels) > 1:
        raise VolumeError(f"the images have different numbers of channels, {sorted(channels)}: choose the same ones")
    table = {row.value: row for item in annotations for row in item.classes}
    first = volumes[0]
    fresh = Scheme(
        paint=annotations[0].paint,
        classes=order_classes(tuple(table.values())),
        stack_axis=choose_stack_axis(annotations, spacing=first.spacing),
        channels=first.n_channels,
        spacing=first.spacing,
        unit=first.unit,
    )
    return fresh if start is None else _adopt(start.scheme, fresh)


def _adopt(old: Scheme, fresh: Scheme) -> Scheme:
    """Keep a model's frame, if what is painted now fits into it: spacing and axis are those it was built for."""
    values = {row.value for row in old.classes}
    unknown = [row.value for row in fresh.classes if row.value not in values]
    if old.paint != fresh.paint or old.channels != fresh.channels or unknown:
        raise ModelError(
            f"the model to go on from knows {old.paint} in {old.channels} channel(s)"
            + (f", but not the class {unknown[0]}" if unknown else f", not {fresh.paint} in {fresh.channels}")
            + ": train a new one",
            where="from",
            option="without --from",
        )
    backgrounds = [{row.value for row in scheme.classes if row.background} for scheme in (old, fresh)]
    if backgrounds[0] != backgrounds[1]:
        raise ModelError(
            f"the background was {sorted(backgrounds[0])} in the model to go on from and is {sorted(backgrounds[1])} "
            "now: say which",
            where="background",
            option="with --background",
        )
    return old


def find_paint_before(
    stored: Stored, samples: Sequence[Sample], *, identities: Sequence[str]
) -> tuple[Sample, ...] | None:
    """Give the samples with the paint that an unfinished training knew when it broke off, if it was not scored yet.

    With that paint its members hold out again what they held out, and paint that came since can be added to it.
    None where there is nothing to hold out any more, or where a volume is another one.
    """
    if stored.resume is None or stored.calibration.held_out_iou is not None:
        return None
    known = {paint.identity: paint for paint in stored.paint}
    if [paint.identity for paint in stored.paint] != list(identities):
        return None
    return tuple(
        replace(sample, annotation=known[identity].slices, region=known[identity].region)
        for sample, identity in zip(samples, identities, strict=True)
    )


def find_seen(stored: Stored, *, identities: Sequence[str]) -> list[frozenset[int]]:
    """For each sample the planes that a model has learned anything from, and cannot be tested on."""
    axis = stored.scheme.stack_axis
    seen = {paint.identity: taught_planes(paint.slices, stack_axis=axis) for paint in stored.paint}
    return [frozenset(seen.get(identity, ())) for identity in identities]


def go_on(learner: Learner, stored: Stored, *, budget: Budget) -> None:
    """Begin where a model stands: an unfinished training goes on at its place, if the budget is the same.

    Raises
    ------
    ModelError
        The model's network is not the one that is trained now.
    """
    same = ("network", "width", "levels")
    if any(getattr(stored.config, name) != getattr(learner.config, name) for name in same):
        raise ModelError(
            "the model to go on from was trained with another network, width or number of levels: set the same, or "
            "train a new one",
            where="from",
            option="without --from",
        )
    learner.calibration = stored.calibration
    unfinished = stored.resume is not None and len(stored.resume) == len(learner.members)
    for number, member in enumerate(learner.members):
        try:
            weights = stored.weights[number % len(stored.weights)]
            check_weights(member.net, weights, whose="the model to go on from", where="from")
            if unfinished and stored.resume is not None:
                member.load_state(stored.resume[number])
            else:
                member.start_from(weights)
        except (RuntimeError, KeyError, ValueError) as error:
            raise ModelError(
                f"{RESUME} of the model to go on from does not fit its network ({str(error)[:100]}): train a new one",
                where="from",
            ) from None
    learner.continue_log(stored.log)
    if unfinished:
        learner.is_scored = stored.summary.get("held_out_iou") is not None
        if learner.config.has_same_budget(stored.config):
            budget.skip(stored.fraction)
