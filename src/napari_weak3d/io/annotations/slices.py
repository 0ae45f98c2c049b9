"""Painted slices: a label image, and a ``.json`` beside it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations.classes import make_class_table
from napari_weak3d.io.annotations.complete import (
    SlicesWarning,
    check_indices,
    find_painted,
    find_slipped,
    format_annotated,
    name_some,
    parse_annotated,
)
from napari_weak3d.io.annotations.sidecar import ClassEntry, Sidecar, read_sidecar, sidecar_path, write_sidecar
from napari_weak3d.io.labels import check_same_shape, read_labels, write_labels
from napari_weak3d.types import RELATIVE, IntLabels, PaintClass, Region, SliceIndex, Slices, Spacing, Volume

PAINTS = ("classes", "objects")
"""What painted values may be."""


def read_slices(
    path: str | os.PathLike[str],
    *,
    volume: Volume,
    annotated: tuple[SliceIndex, ...] | None = None,
    paint: Literal["classes", "objects"] | None = None,
    background: int | None = None,
    region: Region | None = None,
) -> Slices:
    """Read painted slices and check them against their volume.

    Parameters
    ----------
    path
        Label image, 0 where nothing is painted. ``paint.json`` beside ``paint.tif`` (also beside ``paint.ome.tif``,
        ``paint.zarr``) is read too, if there.
    volume
        The image.
    annotated
        Slices that are complete; None: what the ``.json`` says, else none.
    paint
        What the values are; None: what the ``.json`` says, else classes.
    background
        The value of the background class; None: as :func:`~napari_weak3d.io.annotations.classes.make_class_table`
        settles it.
    region
        Box inside the volume in which complete slices are complete; None: all of it.

    Returns
    -------
    The slices. Arguments win over the ``.json``.

    Raises
    ------
    VolumeError
        The label image cannot be read.
    AnnotationError
        The ``.json`` is damaged, or the slices do not stand :func:`check_slices`.

    Warns
    -----
    SlicesWarning
        Complete slices have no paint, and others along the same axis have: they are counted from 0. Where the ``.json``
        says which are complete, only if none of them has any.
    """
    file = Path(path)
    sidecar = read_sidecar(file) or Sidecar()
    labels = read_labels(file, like=volume)
    complete = _find_complete(annotated, sidecar, volume, beside=sidecar_path(file).name)
    meaning = paint or sidecar.paint
    classes = _settle_classes(labels, sidecar, meaning=meaning, background=background, has_complete=bool(complete))
    slices = Slices(labels, paint=meaning, annotated=complete, classes=classes)
    check_slices(slices, volume, name=file.name, region=region)
    empty, painted = find_slipped(slices)
    # The dock writes a .json, and there an empty slice beside a few strokes elsewhere is usual.
    if empty and (annotated is not None or len(empty) == len(slices.annotated)):
        warnings.warn(SlicesWarning(f"{file.name}: {_tell_slipped(empty, painted)}"), stacklevel=2)
    return slices


def _find_complete(
    annotated: tuple[SliceIndex, ...] | None, sidecar: Sidecar, volume: Volume, *, beside: str
) -> tuple[SliceIndex, ...]:
    """The slices that are complete: as given, else as the ``.json`` of the name ``beside`` says."""
    if annotated is not None:
        check_indices(annotated, volume.shape, name="annotated slice", of=volume.name)
        return annotated
    complete = parse_annotated(sidecar.annotated, name=f"{beside}: annotated slices")
    check_indices(complete, volume.shape, name=f"{beside}: annotated slice", of=volume.name)
    return complete


def _settle_classes(
    labels: IntLabels, sidecar: Sidecar, *, meaning: str, background: int | None, has_complete: bool
) -> tuple[PaintClass, ...]:
    """The table of classes; empty for objects."""
    if meaning == "classes":
        known = tuple(PaintClass(**entry.model_dump()) for entry in sidecar.classes)
        painted = tuple(painted_values(labels))
        return make_class_table(painted, known=known, background=background, has_complete=has_complete)
    if background is not None:
        raise AnnotationError(
            f"background {background} was given for painted objects, whose values are ids: leave out --background",
            where="background",
            value=background,
        )
    return ()


def _tell_slipped(empty: Sequence[SliceIndex], painted: Sequence[SliceIndex]) -> str:
    """What :func:`find_slipped` found, in a sentence."""
    blank, other = name_some(empty), name_some(painted)
    first = f"complete slice {blank} has no paint" if len(empty) == 1 else f"complete slices {blank} have no paint"
    second = f"{other} {'is' if len(painted) == 1 else 'are'} painted and not said to be complete"
    return f"{first}, and {second}; slices are counted from 0"


def write_slices(
    path: str | os.PathLike[str], slices: Slices, *, spacing: Spacing = (1.0, 1.0, 1.0), unit: str = RELATIVE
) -> None:
    """Write painted slices as a label image with a ``.json`` beside it; :func:`read_slices` gives them back.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    file = Path(path)
    write_labels(file, slices.labels, spacing=spacing, unit=unit)
    entries = [
        ClassEntry(value=row.value, name=row.name, color=row.color, background=row.background) for row in slices.classes
    ]
    annotated = format_annotated(slices.annotated)
    write_sidecar(file, Sidecar(schema=1, paint=slices.paint, annotated=annotated, classes=entries))


def check_slices(slices: Slices, volume: Volume, *, name: str = "the paint", region: Region | None = None) -> None:
    """Make sure that a method can learn from painted slices.

    Parameters
    ----------
    slices
        The paint.
    volume
        The image.
    name
        What messages call the paint.
    region
        Box inside the volume in which complete slices are complete; None: all of it.

    Raises
    ------
    AnnotationError
        The shape differs from the volume's; a complete slice is none, or out of range; paint is neither classes nor
        objects; nothing is painted; there is one class only, counting the background of complete slices inside the
        region; a painted class is not in the table, or unpainted voxels of complete slices have no background class;
        objects are painted, and no slice is complete, or none that is complete has an object inside the region.
    """
    if not isinstance(slices.labels, np.ndarray):
        raise AnnotationError(f"{name} is a {type(slices.labels).__name__}: give an array (Z, Y, X) of whole numbers")
    check_same_shape(slices.labels.shape, volume, name=name)
    if not all(isinstance(row, PaintClass) for row in slices.classes):
        raise AnnotationError("the table of classes holds other things than PaintClass(value, name)", where="classes")
    check_indices(slices.annotated, volume.shape, name="annotated slice", of=volume.name)
    if slices.paint not in PAINTS:
        raise AnnotationError(
            f"{slices.paint!r} is no kind of paint: there is {' and '.join(PAINTS)}", where="paint", value=slices.paint
        )
    painted = painted_values(slices.labels)
    if not painted:
        raise AnnotationError(
            f"nothing is painted on {volume.name}: every voxel of {name} is 0; paint some slices, or choose another "
            "annotation",
            value=0,
        )
    if slices.paint == "classes":
        _check_classes(slices, painted, volume, region=region)
    else:
        _check_objects(slices, len(painted), volume, region=region)


def painted_values(labels: IntLabels) -> list[int]:
    """Return the values above 0, ascending."""
    # few voxels are painted: leaving out the zeros first is ten times as fast
    return [int(value) for value in np.unique(labels[labels > 0])]


def _check_classes(slices: Slices, painted: list[int], volume: Volume, *, region: Region | None) -> None:
    unknown = [value for value in painted if value not in {row.value for row in slices.classes}]
    if unknown:
        raise AnnotationError(
            f"the painted value {unknown[0]} is not in the table of classes: add it", where="classes", value=unknown[0]
        )
    seen = set(painted)
    if any((plane == 0).any() for plane in _complete_planes(slices, region=region)):
        background = [row.value for row in slices.classes if row.background]
        if not background:
            raise AnnotationError(
                "complete slices have unpainted voxels, and no class is background: say which",
                where="background",
                option="with --background",
            )
        seen |= set(background)
    if len(seen) < 2:
        mark = "" if slices.annotated else ", or say which slices are complete: all else in them is background"
        if slices.annotated and region is not None:
            mark = ", or enlarge the region: inside it, no complete slice has anything unpainted"
        raise AnnotationError(
            f"only class {seen.pop()} is painted on {volume.name}: paint a second one (background is one too){mark}",
            where="annotated",
            value=painted[0],
            option="" if slices.annotated else "with --annotated z:3,10",
        )


def _check_objects(slices: Slices, n_objects: int, volume: Volume, *, region: Region | None) -> None:
    if not slices.annotated:
        objects = "1 object is" if n_objects == 1 else f"{n_objects} objects are"
        raise AnnotationError(
            f"{objects} painted on {volume.name} and nothing is background: say which slices are complete",
            where="annotated",
            option="with --annotated z:3,10",
        )
    if any(plane.any() for plane in _complete_planes(slices, region=region)):
        return
    complete = name_some(slices.annotated)
    if region is not None and any(plane.any() for plane in _complete_planes(slices, region=None)):
        raise AnnotationError(
            f"no complete slice of {volume.name} ({complete}) has an object inside the region: enlarge the region, or "
            "complete slices inside it",
            where="annotated",
            value=slices.annotated,
        )
    painted = name_some(find_painted(slices.labels))
    raise AnnotationError(
        f"no complete slice of {volume.name} ({complete}) has an object: the painted slices are {painted}, say which "
        "of them are complete",
        where="annotated",
        value=slices.annotated,
        option=f"with --annotated {painted.partition(',')[0]}",
    )


def _complete_planes(slices: Slices, *, region: Region | None) -> Iterator[IntLabels]:
    """What of each complete slice lies inside the region: views of two axes, none of them empty."""
    box = region or tuple((0, length) for length in slices.labels.shape)
    inside = slices.labels[tuple(slice(low, high) for low, high in box)]
    for axis, index in slices.annotated:
        low, high = box[axis]
        if low <= index < high:
            yield np.take(inside, index - low, axis=axis)
