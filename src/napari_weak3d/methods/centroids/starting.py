"""Where a training begins: a frame that all samples share, networks new or of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_weak3d.errors import ModelError, VolumeError
from napari_weak3d.methods.centroids.learner import CENTRES, MASKS, Learner
from napari_weak3d.methods.centroids.networks import choose_stem
from napari_weak3d.methods.centroids.scheme import Scheme
from napari_weak3d.methods.centroids.storage import Stored
from napari_weak3d.methods.centroids.volumes import Annotated, choose_look, choose_merge_distance
from napari_weak3d.nn.loop import Budget
from napari_weak3d.nn.voxels import in_lengths_of
from napari_weak3d.types import Sample


def share_lengths(samples: Sequence[Sample], *, start: Stored | None) -> tuple[Sample, ...]:
    """Give all samples the lengths of the first, or of the model to go on from: what one tells holds in all."""
    first = samples[0].volume if start is None else start.scheme
    return tuple(
        replace(each, volume=in_lengths_of(each.volume, spacing=first.spacing, unit=first.unit)) for each in samples
    )


def make_scheme(samples: Sequence[Sample], annotated: Sequence[Annotated], *, start: Stored | None) -> Scheme:
    """Settle the frame that all samples share: that of the model to go on from, where there is one.

    If its training was finished, with the cells of the samples, as far as its networks allow.

    Raises
    ------
    ModelError
        The images have other channels than those of that model.
    VolumeError
        Images differ in their channels.
    """
    first, channels = samples[0].volume, {sample.volume.n_channels for sample in samples}
    if len(channels) > 1:
        raise VolumeError(f"the images have different numbers of channels, {sorted(channels)}: choose the same ones")
    if start is not None:
        if start.scheme.channels != first.n_channels:
            raise ModelError(
                f"the model to go on from knows {start.scheme.channels} channel(s), not {first.n_channels}: train "
                "a new one",
                where="from",
                option="without --from",
            )
        if start.resume is not None:
            return start.scheme
        # What is learned now may have other cells than what was learned then.
        scheme = replace(start.scheme, merge_distance=choose_merge_distance(annotated), joins=False)
        seen = replace(scheme, look=choose_look(annotated))
        return seen if choose_stem(seen) == choose_stem(scheme) else scheme  # weights fit one stem
    return Scheme(first.n_channels, first.spacing, first.unit, choose_look(annotated), choose_merge_distance(annotated))


def go_on(learner: Learner, stored: Stored, *, budget: Budget) -> None:
    """Begin where a model stands.

    Raises
    ------
    ModelError
        The model's networks are not those that are trained now.
    """
    if any(getattr(stored.config, name) != getattr(learner.config, name) for name in ("width", "levels")):
        raise ModelError(
            "the model to go on from was trained with another width or number of levels: set the same, or train "
            "a new one",
            where="from",
            option="without --from",
        )
    unfinished = stored.resume is not None
    for number in (CENTRES, MASKS):
        try:
            if stored.resume is not None:
                learner.members[number].load_state(stored.resume[number], stored=stored.weights[number])
            else:
                learner.members[number].start_from(stored.weights[number])
        except (RuntimeError, KeyError, ValueError, IndexError) as error:
            raise ModelError(
                f"the weights of the model to go on from do not fit its network: {error}", where="from"
            ) from None
    learner.knows_masks = stored.has_masks
    learner.continue_log(stored.log)
    if unfinished:
        learner.calibration = stored.calibration
        if learner.config.has_same_budget(stored.config):
            budget.skip(stored.fraction)
