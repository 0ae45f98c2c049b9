"""The demo: train on a synthetic volume with weak labels, show and score what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d import samples, workflow
from napari_weak3d.cli.bar import follow, stop_on_interrupt
from napari_weak3d.cli.demo_labels import LABEL_FILES, WeakLabels, weaken
from napari_weak3d.cli.report import Report
from napari_weak3d.config import TrainConfig
from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.io.volumes import write_image, write_labels
from napari_weak3d.methods import find_method
from napari_weak3d.types import IntLabels, Sample

MINUTES = 1.0
MARK = "demo.txt"
"""Says that a folder is a demo's."""
FILES = ("image.tif", "labels.tif", "picture.png", "model")
"""What is written for every method, beside the annotation."""
PICTURE_SCALE = 3
"""Screen pixels per voxel."""
GAMMA, OPACITY = 0.6, 0.45
"""So that dim nuclei show on a screen, and through their colour."""
GOLDEN_RATIO = 0.618
"""Steps of hue by it keep neighbouring ids apart."""


def run(method: str, *, config: TrainConfig, out: Path) -> Report:
    """Train, segment, score; write image, annotation, labels, model and a picture into ``out``.

    Raises
    ------
    StorageError
        ``out`` cannot be made or written, or holds files of the same names that no demo has written.
    """
    _make_folder(out)
    sample = samples.make_demo()
    volume, truth = sample.volume, sample.labels
    write_image(out / "image.tif", volume.data[0], spacing=volume.spacing, unit=volume.unit)
    weak = weaken(sample, noun=find_method(method).annotation, out=out)

    with stop_on_interrupt() as commands:
        learned_from = [Sample(volume, weak.annotation)]
        follow(workflow.train(method, learned_from, config=config, out=out / "model"), commands=commands)
    prediction = follow(workflow.segment(out / "model", volume))
    write_labels(out / "labels.tif", prediction.labels, spacing=volume.spacing, unit=volume.unit)
    write_picture(out / "picture.png", volume.data[0], weak=weak, labels=prediction.labels, truth=truth)

    scores = workflow.evaluate(prediction.labels, truth, ignore_slices=weak.complete, spacing=volume.spacing)
    return {
        **{name: scores[name] for name in ("iou", "seg", "f1")},
        "files": [str(out / name) for name in ("image.tif", *weak.files, "labels.tif", "picture.png")],
        "open": f"napari {out / 'image.tif'} {out / 'labels.tif'}   (pip install 'napari[all]'), or any TIFF viewer",
    }


def write_picture(path: Path, image: NDArray[Any], *, weak: WeakLabels, labels: IntLabels, truth: IntLabels) -> None:
    """Write a PNG: an annotated slice; then, of the one that the annotation says least of, image, prediction and truth.

    Parameters
    ----------
    path
        File to write.
    image
        (Z, Y, X), any grey values.
    weak
        What was learned from.
    labels, truth
        (Z, Y, X) ids; 0 is background.
    """
    from skimage.io import imsave

    shown = weak.unseen
    panels = [
        paint_over(image[weak.plane], labels=weak.look),
        paint_over(image[shown], labels=np.zeros_like(truth[shown])),
        paint_over(image[shown], labels=_number_as(truth[shown], labels=labels[shown])),
        paint_over(image[shown], labels=truth[shown]),
    ]
    gap = np.full((panels[0].shape[0], 2, 3), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    with atomic_file(path) as temporary:
        imsave(temporary, row.repeat(PICTURE_SCALE, 0).repeat(PICTURE_SCALE, 1), check_contrast=False)


def paint_over(plane: NDArray[Any], *, labels: IntLabels) -> NDArray[np.uint8]:
    """(Y, X) grey values and ids -> (Y, X, 3) uint8: each object in a colour of its own, half transparent."""
    from skimage.color import hsv2rgb

    low, high = np.percentile(plane, (1, 99.7))
    grey = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) ** GAMMA
    hues = labels * GOLDEN_RATIO % 1
    colors: NDArray[Any] = hsv2rgb(np.stack([hues, np.full_like(hues, 0.75), np.full_like(hues, 0.95)], axis=-1))
    opacity = np.where(labels > 0, OPACITY, 0)[..., None]
    blended: NDArray[np.float64] = grey[..., None] * (1 - opacity) + colors * opacity
    return np.round(255 * blended).astype(np.uint8)


def _number_as(truth: IntLabels, *, labels: IntLabels) -> IntLabels:
    """Give each object of ``labels`` the id of the true one it covers most, so that both get the same colour."""
    # those that cover none keep a number of their own
    numbers: NDArray[np.int64] = np.arange(labels.max() + 1) + truth.max()
    for value in np.unique(labels[labels > 0]):
        covered = truth[(labels == value) & (truth > 0)]
        if covered.size:
            numbers[value] = np.bincount(covered).argmax()
    numbers[0] = 0
    return numbers[labels].astype(np.int32)


def _make_folder(out: Path) -> None:
    """Make the folder, and mark it as a demo's; in one that is none, nothing is written over."""
    mark = out / MARK
    in_the_way = [name for name in (*FILES, *LABEL_FILES) if (out / name).exists()]
    if in_the_way and not mark.exists():
        raise StorageError(
            f"{out} holds a {in_the_way[0]} that is not of an earlier demo: choose another folder",
            where="--out",
            value=str(out),
            option="with --out",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        mark.write_text("napari-weak3d demo writes over what is in this folder.\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {out}: {error.strerror}; choose another with --out", where="--out", value=str(out)
        ) from error
