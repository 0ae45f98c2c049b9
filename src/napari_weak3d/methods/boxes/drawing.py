"""Patches to learn from, with the boxes in them: both moved alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_weak3d.methods.boxes.dense import label_voxels
from napari_weak3d.methods.boxes.volumes import Annotated
from napari_weak3d.nn.augment import Augmentation, sample_grid, warp
from napari_weak3d.nn.greys import GreyRanges, change_greys
from napari_weak3d.nn.sampling import Shape, keep_inside
from napari_weak3d.nn.warp import UNLABELLED, Grid
from napari_weak3d.types import Region

AUGMENTATION = Augmentation(
    rotate_chance=0,
    scale_chance=0.7,
    scale=1.25,
    axis_scale=1.1,
    elastic_chance=0,
    greys=GreyRanges(chance=0.7, gain=1.28, noise=0.3, blur_chance=0.1),
)
"""Nothing that would turn boxes: a turned box is no box of its object, and of most objects nothing else is known."""
_OBJECT_CHANCE = 0.8
"""Of a patch around an object, not anywhere: elsewhere may be nothing (ours)."""
_MASKED_CHANCE = 0.6
"""Of an object with a mask, where there are some (ours)."""
_ALIKE = 1.3
"""Axes along which typical objects differ by more than this in length are not swapped: none looks like that."""
_SLAB_PLANES = 16
"""Planes that are labelled at once: a large volume takes no more memory than a small one."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned of a volume.

    Attributes
    ----------
    annotated
        The volume; masks may have been completed.
    region
        Where what is no box is background.
    learned, given
        (N,) which boxes are learned, and which of the masks were given.
    """

    annotated: Annotated
    region: Region
    learned: NDArray[np.bool_]
    given: NDArray[np.bool_]

    def label_slabs(self) -> Iterator[Tensor]:
        """Tell what voxels are where boxes are complete, some planes at a time, as ``dense.label_voxels`` has it.

        Yields
        ------
        (D + 2, Y, X) int64: D planes, and one beside them on either side, ``UNLABELLED`` beyond the region.
        """
        (z_low, z_high), (y_low, y_high), (x_low, x_high) = self.region
        annotated, boxes = self.annotated, self.annotated.boxes
        told = annotated.has_mask & self.learned
        shown = np.concatenate([[0], np.where(told, np.arange(1, len(told) + 1), UNLABELLED)])
        for low in range(z_low, z_high, _SLAB_PLANES):
            high = min(z_high, low + _SLAB_PLANES)
            first, last = max(z_low, low - 1), min(z_high, high + 1)
            near = (boxes[:, 1, 0] > first) & (boxes[:, 0, 0] < last)
            labels = label_voxels(
                torch.from_numpy(shown[annotated.masks[first:last, y_low:y_high, x_low:x_high]]),
                torch.from_numpy(boxes[near] - (first, y_low, x_low)),
                told=torch.from_numpy(told[near]),
            )
            beside = (0, 0, 0, 0, int(first == low), int(last == high))
            yield F.pad(labels, beside, value=UNLABELLED)


@dataclass(frozen=True, eq=False)
class PatchTruth:
    """The boxes of a patch.

    Attributes
    ----------
    boxes
        (K, 2, 3) float32, voxels of the patch; they may reach beyond it.
    classes, ids
        (K,) int64; ids are those of the labels of the patch.
    has_mask, given, learned
        (K,) bool; of masks some may be given and others completed; what is not learned is no background either.
    grid
        Where each voxel of the patch comes from.
    region
        Of the volume: where what is no box is background.
    """

    boxes: Tensor
    classes: Tensor
    ids: Tensor
    has_mask: Tensor
    given: Tensor
    learned: Tensor
    grid: Grid
    region: Region

    def are_known(self, points: Tensor) -> Tensor:
        """(A,) which points (A, 3), voxels of the patch, come from where boxes are complete."""
        matrix, offset, region = (
            torch.from_numpy(np.asarray(part, np.float32)).to(points.device)
            for part in (self.grid.matrix, self.grid.offset, self.region)
        )
        # Grids count from the voxels' centres, boxes from their faces.
        source = (points - 0.5) @ matrix.T + offset + 0.5
        return ((source >= region[:, 0]) & (source < region[:, 1])).all(dim=1)

    def label_voxels(self, masks: Tensor) -> Tensor:
        """(Z, Y, X) ids of masks -> what ``dense.label_voxels`` tells, and nothing where boxes are not complete."""
        told = self.has_mask & self.learned
        hidden = torch.isin(masks, self.ids[~told])
        labels = label_voxels(torch.where(hidden, UNLABELLED, masks), self.boxes, told=told)
        z, y, x = masks.shape
        for axis, (low, high) in enumerate(find_known(self.grid, self.region, shape=(z, y, x))):
            for start, stop in ((0, low), (high, masks.shape[axis])):
                part = labels.narrow(axis, start, stop - start)
                part[part == 0] = UNLABELLED
        return labels


def find_known(grid: Grid, region: Region, *, shape: Shape) -> list[tuple[int, int]]:
    """From where to where along each axis the voxels of a patch come from a region; grids must not turn."""
    back = np.linalg.inv(grid.matrix)
    corners = (np.array(region, np.float64).T - 0.5 - grid.offset) @ back.T + 0.5
    low, high = np.sort(corners, axis=0)
    first, last = np.ceil(low - 0.5).astype(int).clip(0, shape), np.floor(high + 0.5).astype(int).clip(0, shape)
    return [(int(start), int(max(start, stop))) for start, stop in zip(first, last, strict=True)]


@dataclass(frozen=True, eq=False)
class BoxBatch:
    """Patches: image (B, C, Z, Y, X), ids of masks (B, Z, Y, X) int64, and the boxes of each."""

    image: Tensor
    masks: Tensor
    truth: tuple[PatchTruth, ...]


def make_lesson(
    annotated: Annotated, *, region: Region | None = None, given: NDArray[np.bool_] | None = None
) -> Lesson:
    """Learn what has its centre in a region; None: where boxes are complete. Masks are given, unless it is said which.

    Boxes beside the place where they are complete are objects all the same, and learned as such.
    """
    where = annotated.known if region is None else region
    learned = annotated.lie_in(where) | ~annotated.lie_in(annotated.known)
    return Lesson(annotated, where, learned, annotated.has_mask if given is None else given)


def draw_boxed_batch(
    lessons: Sequence[Lesson], *, size: int, shape: Shape, augmentation: Augmentation, rng: np.random.Generator
) -> BoxBatch:
    """Draw patches, each moved and changed at random.

    Parameters
    ----------
    lessons
        The volumes; at least one box is learned in all.
    size
        Patches in the batch.
    shape
        (Z, Y, X) of each.
    augmentation
        May flip, swap and scale; see :func:`move_boxes` for what turns.
    """
    image, masks, truth = zip(
        *(_draw_patch(lessons, shape=shape, augmentation=augmentation, rng=rng) for _ in range(size)), strict=True
    )
    return BoxBatch(torch.stack(image), torch.stack(masks), truth)


def _draw_patch(
    lessons: Sequence[Lesson], *, shape: Shape, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor, PatchTruth]:
    number, centre = _draw_centre(lessons, shape=shape, rng=rng)
    lesson = lessons[number]
    annotated = lesson.annotated
    grid = sample_grid(shape, spacing=annotated.spacing, augmentation=augmentation, rng=rng, centre_vox=centre)
    patch = warp(annotated.view, annotated.masks, grid=grid)
    image = change_greys(patch.image, ranges=augmentation.greys, spacing=annotated.spacing, rng=rng)
    moved = move_boxes(annotated.boxes, grid)
    rows = np.flatnonzero((moved[:, 1] > 0).all(axis=1) & (moved[:, 0] < shape).all(axis=1))
    truth = PatchTruth(
        torch.from_numpy(moved[rows]).float(),
        torch.from_numpy(annotated.classes[rows]),
        torch.from_numpy(rows + 1),
        torch.from_numpy(annotated.has_mask[rows]),
        torch.from_numpy(lesson.given[rows]),
        torch.from_numpy(lesson.learned[rows]),
        grid,
        lesson.region,
    )
    return image, patch.labels, truth


def move_boxes(boxes: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Give boxes (N, 2, 3) of a volume as they lie in a patch, (N, 2, 3).

    Flips, swaps and scaling are exact. Where the grid turns, a box becomes the one around the turned ellipsoid that
    fills it: about that of a compact object. Displacements are passed over.
    """
    back = np.linalg.inv(grid.matrix)
    centres = (boxes.mean(axis=1) - 0.5 - grid.offset) @ back.T + 0.5
    halves = np.sqrt(((boxes[:, 1] - boxes[:, 0]) / 2) ** 2 @ (back**2).T)
    return np.stack([centres - halves, centres + halves], axis=1)


def _draw_centre(
    lessons: Sequence[Lesson], *, shape: Shape, rng: np.random.Generator
) -> tuple[int, tuple[float, float, float]]:
    """Draw a volume, and the voxel of it that comes to lie in the patch's middle."""
    if rng.random() < _OBJECT_CHANCE:
        return _draw_around_object(lessons, shape=shape, rng=rng)
    volumes = np.array([float(np.prod(np.diff(lesson.region))) for lesson in lessons])
    number = int(rng.choice(len(lessons), p=volumes / volumes.sum()))
    lesson = lessons[number]
    at = [rng.uniform(low, high) for low, high in lesson.region]
    return number, _inside(at, shape=shape, of=lesson.annotated.shape)


def _draw_around_object(
    lessons: Sequence[Lesson], *, shape: Shape, rng: np.random.Generator
) -> tuple[int, tuple[float, float, float]]:
    masked = rng.random() < _MASKED_CHANCE
    learned = [lesson.learned & lesson.annotated.has_mask for lesson in lessons]
    if not masked or not any(each.any() for each in learned):
        learned = [lesson.learned for lesson in lessons]
    counts = np.array([np.count_nonzero(each) for each in learned], float)
    number = int(rng.choice(len(lessons), p=counts / counts.sum()))
    annotated = lessons[number].annotated
    low, high = annotated.boxes[rng.choice(np.flatnonzero(learned[number]))]
    # Anywhere in the patch, but whole if it can be.
    room = np.maximum(np.array(shape) - (high - low), 0)
    at = (low + high) / 2 + rng.uniform(-0.5, 0.5, 3) * room
    return number, _inside(at.tolist(), shape=shape, of=annotated.shape)


def _inside(at: Sequence[float], *, shape: Shape, of: Shape) -> tuple[float, float, float]:
    z, y, x = (keep_inside(along - 0.5, side=side, length=n) for along, side, n in zip(at, shape, of, strict=True))
    return z, y, x


def find_swappable(typical: Sequence[float]) -> tuple[int, ...]:
    """Tell along which axes typical objects, of these sizes (z, y, x), are about as long as the shortest in-plane."""
    reference = min(typical[1:])
    return tuple(axis for axis in range(3) if 1 / _ALIKE <= typical[axis] / reference <= _ALIKE)
