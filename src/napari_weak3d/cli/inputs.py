"""What commands take in: paths and settings checked, samples read, before any work starts."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_weak3d.errors import AnnotationError, ModelError, VolumeError, Weak3DError

if TYPE_CHECKING:
    from napari_weak3d.types import Boxes, Centroids, IntLabels, Region, Sample, Slices, Spacing, Volume

Value = TypeVar("Value")


def check_model_in(folder: Path) -> None:
    """Raise ModelError where a folder is no model; what is in it the model's loader checks."""
    from napari_weak3d.io.models import MODEL

    if not (folder / MODEL).is_file():
        state = f"has no {MODEL}" if folder.is_dir() else "is not a folder"
        raise ModelError(f"{folder} {state}: name a folder that train has written", where=str(folder))


def check_takes_clicks(folder: Path, *, option: str) -> None:
    """Raise ModelError where a model is of a method that knows no clicks."""
    from napari_weak3d import workflow
    from napari_weak3d.io.models import read_method

    if workflow.method_of(folder).annotation != "Centroids":
        raise ModelError(f"{folder} is a model of {read_method(folder)}: {option} belongs to centroids", where=option)


def read_samples(options: argparse.Namespace) -> list[Sample]:
    """Read images and annotations, pair them up in their order, and check that each pair fits."""
    from napari_weak3d.io.annotations import check_clicks, check_drawn
    from napari_weak3d.methods import find_method

    kind, n = find_method(options.method).annotation, len(options.image)
    if len(options.annotation) != n:
        raise AnnotationError(
            f"{n} --image but {len(options.annotation)} --annotation: give one per image, in the same order",
            where="--annotation",
        )
    if options.masks and len(options.masks) != n:
        raise AnnotationError(
            f"{n} --image but {len(options.masks)} --masks: give one per image, in the same order", where="--masks"
        )
    complete = options.annotated if n > 1 else join_annotated(options.annotated)
    annotated = _one_per_image(complete, n, option="--annotated")
    regions = _one_per_image(options.region, n, option="--region")
    among = [*options.image, *options.annotation, *options.masks]
    samples = [
        read_sample(
            options,
            kind=kind,
            image=image,
            annotation=annotation,
            masks=mask,
            annotated=texts,
            region=region,
            among=among,
        )
        for image, annotation, mask, texts, region in zip(
            options.image, options.annotation, options.masks or [None] * n, annotated, regions, strict=True
        )
    ]
    if kind == "Centroids":
        check_clicks(samples)
    if kind == "Boxes":
        check_drawn(samples)
    return samples


@contextmanager
def told_apart(path: Path, *, among: Sequence[Path | None]) -> Iterator[None]:
    """Put its path before a mistake in a file whose name another file of the command has too."""
    try:
        yield
    except Weak3DError as error:
        is_shared = any(other is not None and other != path and other.name == path.name for other in among)
        if is_shared and str(path) not in error.message:
            error.message = f"{path}: {error.message}"
        raise


def read_sample(
    options: argparse.Namespace,
    *,
    kind: str,
    image: Path,
    annotation: Path,
    masks: Path | None,
    annotated: list[str] | None,
    region: Region | None,
    among: Sequence[Path | None],
) -> Sample:
    """Read one image with its annotation.

    ``annotated`` are the complete slices as text, None: as the .json says; ``among`` all files that the command reads.
    """
    from napari_weak3d.types import Sample

    with told_apart(image, among=among):
        volume = read_image(image, options=options)
        if region is not None:
            _check_region(region, volume=volume)
    weak_labels: Slices | Centroids | Boxes
    with told_apart(annotation, among=among):
        if kind == "Slices":
            weak_labels = _read_slices(annotation, volume, options=options, annotated=annotated, region=region)
        else:
            _refuse_slice_options(options, annotated=annotated, kind=kind)
            if kind == "Boxes":
                weak_labels = _read_boxes(annotation, volume, masks=masks)
            else:
                weak_labels = read_clicks(annotation, volume=volume, needs_some=False)  # a training asks for some
    return Sample(volume, weak_labels, region)


def _read_slices(
    path: Path, volume: Volume, *, options: argparse.Namespace, annotated: list[str] | None, region: Region | None
) -> Slices:
    from napari_weak3d.io.annotations import parse_annotated, read_slices

    return read_slices(
        path,
        volume=volume,
        annotated=None if annotated is None else parse_annotated(annotated),
        paint=options.paint,
        background=options.background,
        region=region,
    )


def tell_background(options: argparse.Namespace, samples: Sequence[Sample]) -> None:
    """Say on standard error which of several painted classes is taken for the background, where nobody has said it."""
    from napari_weak3d.io.annotations import knows_background, painted_values
    from napari_weak3d.types import Slices

    if options.background is not None:
        return
    taken: dict[int, list[str]] = {}
    for path, sample in zip(options.annotation, samples, strict=True):
        slices = sample.annotation
        if not isinstance(slices, Slices) or len(painted_values(slices.labels)) < 2 or knows_background(path):
            continue
        for row in slices.classes:
            if row.background:
                taken.setdefault(row.value, []).append(path.name)
    for value, names in taken.items():
        what = f"the painted value {value} is" if value else "unpainted voxels of complete slices are"
        print(f"{', '.join(names)}: {what} taken for the background; --background says another", file=sys.stderr)


def _refuse_slice_options(options: argparse.Namespace, *, annotated: list[str] | None, kind: str) -> None:
    what = {"Centroids": "clicks", "Boxes": "boxes"}[kind]
    for name, value in (("annotated", annotated), ("paint", options.paint), ("background", options.background)):
        if value is not None:
            raise AnnotationError(f"--{name} belongs to painted slices: leave it out with {what}", where=f"--{name}")


def _read_boxes(path: Path, volume: Volume, *, masks: Path | None) -> Boxes:
    from napari_weak3d.io.annotations import (
        check_boxes,
        count_named_masks,
        find_masks,
        find_repeated,
        find_spilled,
        name_spilled,
        read_boxes,
    )

    if path.suffix.lower() != ".csv":
        raise AnnotationError(f"{path} is no .csv: boxes come as a table of z0, y0, x0, z1, y1, x1", where=str(path))
    boxes = read_boxes(path, masks=masks, like=volume)
    check_boxes(boxes, volume)
    if masks is None and (n_named := count_named_masks(path)):
        beside = find_masks(path) or "the label image"
        warnings.warn(
            f"masks named in {path.name}: {n_named}; without --masks {beside} none is learned from", stacklevel=2
        )
    if spilled := find_spilled(boxes):
        told = name_spilled([(row + 1, share) for row, share in spilled])
        warnings.warn(
            f"masks in {masks} reach out of their boxes in {path.name}: {told}; correct the boxes or the masks",
            stacklevel=2,
        )
    if len(repeated := find_repeated(boxes.corners, boxes.classes)):
        rows = ", ".join(str(row + 1) for row in repeated[:5]) + (", ..." if len(repeated) > 5 else "")
        warnings.warn(f"boxes given twice in {path.name}: {rows}; remove them", stacklevel=2)
    return boxes


def read_clicks(path: Path, *, volume: Volume, needs_some: bool = True) -> Centroids:
    """Read clicks and check that they lie in the volume, each on a voxel of its own; none may do."""
    from napari_weak3d.io.annotations import check_apart, check_centroids, read_centroids

    if path.suffix.lower() != ".csv":
        raise AnnotationError(f"{path} is no .csv: clicks come as a table of z, y, x", where=str(path))
    clicks = read_centroids(path)
    if needs_some or len(clicks.points_vox):
        check_centroids(clicks, volume)
    check_apart(clicks, volume)
    return clicks


def read_image(path: Path, *, options: argparse.Namespace) -> Volume:
    """Read a volume and check that a method can work on it."""
    from napari_weak3d.io.volumes import check_image, read_volume

    volume = read_volume(path, spacing=options.spacing, channel_axis=options.channel_axis)
    check_image(volume)
    return volume


def read_frame(options: argparse.Namespace) -> Volume:
    """Read the image to measure on, else the labels; where the image does not know its spacing, that of the labels."""
    from napari_weak3d.io.volumes import SpacingWarning, open_volume

    frame, doubts = open_volume(
        options.image or options.labels, spacing=options.spacing, channel_axis=options.channel_axis
    )
    if options.image and any(isinstance(doubt, SpacingWarning) for doubt in doubts):
        labels, doubts_of_labels = open_volume(options.labels)
        if not any(isinstance(doubt, SpacingWarning) for doubt in doubts_of_labels):
            frame = replace(frame, spacing=labels.spacing, unit=labels.unit)
            doubts = tuple(doubt for doubt in doubts if not isinstance(doubt, SpacingWarning))
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=2)
    return frame


def read_grid(path: Path, *, labels: IntLabels) -> Volume:
    """A label image with its spacing; where that is unknown or cannot be, relative: weak labels lie on the voxels."""
    from napari_weak3d.io.volumes import open_volume
    from napari_weak3d.types import Volume

    try:
        return open_volume(path)[0]
    except VolumeError:  # its labels have been read: only the spacing is wrong
        return Volume(labels[None])


def find_spacing(options: argparse.Namespace, labels: Sequence[Path]) -> Spacing:
    """Spacing to measure distances by: as given, else of the label image, else 1, 1, 1."""
    from napari_weak3d.io.volumes import open_volume

    if options.spacing:
        given: Spacing = options.spacing
        return given
    volumes = [open_volume(path)[0] for path in labels]  # (1, 1, 1) where the file does not say
    return volumes[0].spacing if volumes else (1.0, 1.0, 1.0)


def join_annotated(given: Sequence[list[str]]) -> list[list[str]]:
    """Take ``--annotated`` that is given several times for one image as given once; [] stays []."""
    return [[text for texts in given for text in texts]] if given else []


def _one_per_image(values: Sequence[Value], n: int, *, option: str) -> list[Value | None]:
    """Given once: for all images; given once per image: in their order; not given: None for each."""
    if len(values) not in (0, 1, n):
        raise Weak3DError(
            f"{option} is given {len(values)} times for {n} images: give it once for all, or once per image",
            where=option,
        )
    return list(values) if len(values) == n else [values[0] if values else None] * n


def _check_region(region: Region, *, volume: Volume) -> None:
    for axis, (low, high), size in zip("zyx", region, volume.shape, strict=True):
        if high > size:
            raise AnnotationError(
                f"--region {low}:{high} along {axis} reaches beyond {volume.name}, which has {size} voxels there",
                where="--region",
                value=region,
            )
