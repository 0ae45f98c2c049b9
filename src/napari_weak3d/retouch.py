"""Another threshold, a smallest object and filled holes for a prediction there is, without asking the networks again.

A prediction keeps the probabilities that its labels were made from (``types.Prediction.probabilities``). From these the
labels are made anew whenever a slider moves. Arrays in, labels out; knows no file and no layer.

What can be prepared is: a uint8 per voxel that says up to which threshold it belongs to an object (so a threshold is
one comparison), and, for objects that may grow, a flood that goes on from where the lowest threshold so far left it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from napari_weak3d.errors import ConfigError
from napari_weak3d.types import IntLabels

Holes: TypeAlias = Literal["keep", "closed", "planes"]
Codes: TypeAlias = NDArray[np.uint8]

_STEPS = 100
"""Thresholds are told apart in hundredths: finer than anybody sees, and a byte a voxel."""
_HALF = _STEPS // 2
"""The step at which every prediction was decided."""
_AXES: dict[Holes, tuple[int, ...]] = {"closed": (0, 1, 2), "planes": (1, 2)}


@dataclass(frozen=True)
class Retouch:
    """How labels are made from probabilities.

    Attributes
    ----------
    threshold
        0.01 to 0.99, in hundredths: what is more probable than this is object. 0.5 is the prediction's own decision.
    smallest
        Objects with fewer voxels are left out; >= 0.
    fill_holes
        "keep": none. "closed": those that an object encloses on all sides. "planes": those that it encloses in their z
        plane; a superset, which also fills tunnels along z, cavities that the end of the stack cuts open, and the
        meshes of a net that lies in the plane.

    Raises
    ------
    ConfigError
        A value is out of its bounds.
    """

    threshold: float = 0.5
    smallest: int = 0
    fill_holes: Holes = "keep"

    def __post_init__(self) -> None:
        if not 1 / _STEPS <= self.threshold <= 1 - 1 / _STEPS:  # NaN is refused, too
            raise ConfigError(
                f"threshold = {self.threshold}: give a number from 0.01 to 0.99",
                where="threshold",
                value=self.threshold,
            )
        if self.smallest < 0:
            raise ConfigError(
                f"smallest = {self.smallest}: give a number of voxels, 0 or more", where="smallest", value=self.smallest
            )
        if self.fill_holes not in get_args(Holes):
            raise ConfigError(
                f"fill_holes = {self.fill_holes!r}: give one of {', '.join(get_args(Holes))}",
                where="fill_holes",
                value=self.fill_holes,
            )


class Retoucher:
    """A prediction that can be decided again and again; remembers what the next slider move needs.

    Not to be called from two threads at once.

    Parameters
    ----------
    labels
        (Z, Y, X) int32: the prediction's, 0 is background. Only read.
    probabilities
        As in :class:`~napari_weak3d.types.Prediction`; may be memory-mapped, is read once.
        (K, Z, Y, X) float16, K > 1: classes, background first. Objects are the connected voxels (by faces) of a class;
        between its classes other than background a voxel takes the most probable one, whatever the threshold.
        (1, Z, Y, X): one probability of any object, on a scale where ``labels`` was cut at 0.5.
        None: the threshold changes nothing.

    Attributes
    ----------
    as_predicted
        The settings that give ``labels`` again, voxel by voxel. ``smallest`` is above 0 where the prediction left out
        small components; the largest of these was one voxel smaller.
    """

    def __init__(self, labels: IntLabels, probabilities: NDArray[np.float16] | None) -> None:
        self._decider = _make_decider(np.ascontiguousarray(labels, dtype=np.int32), probabilities)
        self.as_predicted = Retouch(smallest=self._decider.smallest)
        self._step = -1
        self._decision = _decide_for(np.zeros((0, 0, 0), np.int32))

    @property
    def has_threshold(self) -> bool:
        """Whether the threshold changes anything."""
        return not isinstance(self._decider, _Fixed)

    def apply(self, settings: Retouch) -> IntLabels:
        """Make the labels: threshold first, then too small objects leave, then holes are filled.

        With classes, the largest of the objects that a lower threshold joins gives its id to the whole; of the parts
        that a higher one leaves the largest keeps the id; what is new is numbered on from the highest id. With objects
        there are no new ids: below 0.5 objects grow by a watershed from their labels, most probable voxels first; above
        it they shrink, and of an object that falls apart the largest part stays. What the prediction left out, because
        it was too small or too flat, stays out then.

        Returns
        -------
        IntLabels
            (Z, Y, X) int32, the caller's own.
        """
        step = round(settings.threshold * _STEPS)
        if step != self._step:
            self._decision = self._decider.decide(step)
            self._step = step
        labels = self._decision.labels(smallest=settings.smallest)
        if settings.fill_holes in _AXES:
            fill_holes(labels, axes=_AXES[settings.fill_holes])
        return labels


def fill_holes(labels: IntLabels, *, axes: tuple[int, ...]) -> None:
    """Fill, in place, the background that one object encloses.

    A hole is a piece of background (connected by faces) that reaches no edge of the volume and touches one object only;
    gaps between two objects stay, and so does the ring around an object inside another.

    Parameters
    ----------
    labels
        (Z, Y, X) int32, 0 is background.
    axes
        Along which to look for neighbours and edges: (0, 1, 2), or (1, 2) for each z plane by itself.
    """
    gaps, n = _label_background(labels, axes=axes)
    inner = np.ones(n + 1, np.bool_)
    inner[0] = False
    for axis in axes:
        for end in (0, -1):
            inner[np.take(gaps, end, axis=axis)] = False
    if not inner.any():
        return
    flat, places = labels.reshape(-1), np.flatnonzero(inner[gaps])
    owners = gaps.reshape(-1)[places]
    lowest, highest = np.full(n + 1, np.iinfo(np.int32).max), np.zeros(n + 1, np.int32)
    for offset in _offsets(labels.shape, axes=axes):  # no edge is near: every neighbour is one
        around = flat[places + offset]
        is_object = around > 0
        np.minimum.at(lowest, owners[is_object], around[is_object])
        np.maximum.at(highest, owners[is_object], around[is_object])
    flat[places] = np.where(lowest == highest, highest, 0)[owners]


@dataclass(frozen=True, eq=False)
class _Decision:
    """Labels before too small objects leave.

    Attributes
    ----------
    pieces
        (Z, Y, X) int32 numbers of connected pieces, 0 is background.
    ids
        The object that each number belongs to, 0: none.
    sizes
        Voxels of each number.
    """

    pieces: IntLabels
    ids: IntLabels
    sizes: NDArray[np.int64]

    def labels(self, *, smallest: int) -> IntLabels:
        """(Z, Y, X) ids of the objects of at least so many voxels; an array of its own."""
        of_object = np.bincount(self.ids, weights=self.sizes)[self.ids]
        ids = np.where(of_object >= smallest, self.ids, 0)
        labels = np.empty_like(self.pieces)
        for z, plane in enumerate(self.pieces):  # the indices of all at once would be twice as large as the labels
            np.take(ids, plane, out=labels[z], mode="clip")
        return labels


def _decide_for(labels: IntLabels) -> _Decision:
    """Each label is one piece."""
    sizes = np.bincount(labels.ravel(), minlength=1)
    return _Decision(labels, np.arange(len(sizes), dtype=np.int32), sizes)


class _Fixed:
    """Labels without probabilities: one decision, whatever the threshold."""

    smallest = 0

    def __init__(self, labels: IntLabels) -> None:
        self._decision = _decide_for(labels)

    def decide(self, step: int) -> _Decision:
        """Return the labels."""
        del step
        return self._decision


class _Classes:
    """Objects as connected voxels of a class; codes say up to which step a voxel is not background."""

    def __init__(self, labels: IntLabels, shares: NDArray[np.float16]) -> None:
        self._labels = labels
        self._old_sizes = np.bincount(labels.ravel(), minlength=1)
        self._codes, self._best = _rank_classes(shares)
        dropped = self._components((self._codes > _HALF) & (labels == 0))
        self.smallest = int(np.bincount(dropped.ravel(), minlength=1)[1:].max(initial=-1)) + 1

    def decide(self, step: int) -> _Decision:
        """Components at a step, under their old ids as far as these go round."""
        pieces = self._components(self._codes > step)
        sizes = np.bincount(pieces.ravel(), minlength=1)
        if step >= _HALF:  # a piece lies in one old object, or in none
            old = _carry(self._labels, to=pieces, n=len(sizes))
            pairs = _match_largest(np.arange(len(sizes)), old, sizes=sizes)
        else:  # an old object lies in one piece
            homes = _carry(pieces, to=self._labels, n=len(self._old_sizes))
            pairs = _match_largest(homes, np.arange(len(homes)), sizes=self._old_sizes)
        ids = np.zeros(len(sizes), np.int32)
        for piece, before in pairs:
            ids[piece] = before
        new = np.flatnonzero(ids == 0)[1:]  # the first is background
        ids[new] = len(self._old_sizes) + np.arange(len(new))
        return _Decision(pieces, ids, sizes)

    def _components(self, mask: NDArray[np.bool_]) -> IntLabels:
        if self._best is None:
            components: IntLabels = ndimage.label(mask)[0]
            return components
        return _components(np.where(mask, self._best, np.uint8(0)))


class _Objects:
    """Objects that shrink above the half and grow below it."""

    smallest = 0

    def __init__(self, labels: IntLabels, probability: NDArray[np.float16]) -> None:
        self._labels = labels
        self._codes = np.stack([_encode(plane.astype(np.float32)) for plane in probability])
        self._parts = _components(labels)  # an id may have several from the start: paint says so
        self._flood: _Flood | None = None

    def decide(self, step: int) -> _Decision:
        """Labels as they are at the half, shrunk above it and grown below it."""
        if step > _HALF:
            return self._shrink(step)
        return _decide_for(self._labels if step == _HALF else self._grow(step))

    def _shrink(self, step: int) -> _Decision:
        pieces = _components(np.where(self._codes > step, self._parts, 0))
        sizes = np.bincount(pieces.ravel(), minlength=1)
        part, label_of = (_carry(each, to=pieces, n=len(sizes)) for each in (self._parts, self._labels))
        ids = np.zeros(len(sizes), np.int32)
        for piece, _ in _match_largest(np.arange(len(sizes)), part, sizes=sizes):
            ids[piece] = label_of[piece]
        return _Decision(pieces, ids, sizes)

    def _grow(self, step: int) -> IntLabels:
        if self._flood is None:
            self._flood = _Flood(self._labels, self._codes)
        return self._flood.at(step)


class _Flood:
    """A watershed from labels over falling probability, as far down as was asked for.

    Step by step; within a step from voxel to voxel, so that two objects meet midway, and a voxel that several reach at
    once goes to the highest id. A higher step is a part of a lower one, so the flood only ever goes on.
    """

    def __init__(self, labels: IntLabels, codes: Codes) -> None:
        inside = labels > 0
        # A frame of nothing around everything: neighbours need no test for the edge.
        self._owner = np.pad(labels, 1)
        self._level = np.pad(np.where(inside, np.uint8(_STEPS), np.uint8(0)), 1)
        # What is above the half and no object, the prediction has decided against.
        self._ground = np.pad(np.where(inside | (codes > _HALF), np.uint8(0), codes), 1)
        self._offsets = np.array(list(_offsets(self._owner.shape, axes=(0, 1, 2))))
        self._reached = _HALF

    def at(self, step: int) -> IntLabels:
        """Return the labels at a step below the half."""
        if step < self._reached:
            ground = self._ground.reshape(-1)
            band = np.flatnonzero((ground > step) & (ground <= self._reached))
            order = np.argsort(ground[band], kind="stable")  # stable: a radix sort, of bytes
            ends = np.cumsum(np.bincount(ground[band], minlength=self._reached + 1))
            for code in range(self._reached, step, -1):
                self._flood(band[order[ends[code - 1] : ends[code]]], code)
            self._reached = step
        inner = (slice(1, -1),) * 3
        return np.where(self._level[inner] > step, self._owner[inner], 0)

    def _flood(self, front: NDArray[np.intp], code: int) -> None:
        """Take the voxels of one code that touch an owner, and all of at least this code that they lead to."""
        owner, level, ground = (each.reshape(-1) for each in (self._owner, self._level, self._ground))
        while len(front):
            owners = owner[front[:, None] + self._offsets].max(axis=1)
            front, owners = front[owners > 0], owners[owners > 0]
            owner[front], level[front] = owners, code
            near = (front[:, None] + self._offsets).ravel()
            front = np.unique(near[(ground[near] >= code) & (owner[near] == 0)])


def _make_decider(labels: IntLabels, probabilities: NDArray[np.float16] | None) -> _Fixed | _Classes | _Objects:
    if probabilities is None:
        return _Fixed(labels)
    return _Objects(labels, probabilities[0]) if len(probabilities) == 1 else _Classes(labels, probabilities)


def _encode(share: NDArray[np.float32]) -> Codes:
    """Share 0..1 -> the number of steps, from 0 on, that it lies above: ``share > step / 100`` is ``code > step``."""
    codes: Codes = np.ceil(share * np.float32(_STEPS)).astype(np.uint8)
    return codes


def _rank_classes(shares: NDArray[np.float16]) -> tuple[Codes, Codes | None]:
    """(K, Z, Y, X) shares -> the code of the best class against background, and which it is (None: there is but one).

    What two classes share does not count: p / (p + background). That is above the half exactly where the class is the
    larger one as stored (halves differ by far more than single precision loses), and a tie goes to background: as the
    prediction was decided.
    """
    codes = np.empty(shares.shape[1:], np.uint8)
    best = np.empty(shares.shape[1:], np.uint8) if len(shares) > 2 else None
    for z in range(shares.shape[1]):  # plane by plane: numbers of four bytes for all would be the largest array here
        plane = shares[:, z].astype(np.float32)
        background, highest = plane[0], plane[1:].max(axis=0)
        codes[z] = _encode(highest / np.maximum(highest + background, np.float32(1e-6)))
        if best is not None:
            best[z] = plane[1:].argmax(axis=0) + 1
    return codes, best


def _components(values: NDArray[Any]) -> IntLabels:
    """Number the connected voxels (by faces) of the same value; 0 is background."""
    return label(values, connectivity=1).astype(np.int32, copy=False)  # type: ignore[no-any-return]


def _carry(values: IntLabels, *, to: IntLabels, n: int) -> IntLabels:
    """(N,) the value that all voxels of each number of ``to`` have; of number 0 any."""
    carried = np.zeros(n, np.int32)
    for numbers, plane in zip(to, values, strict=True):
        carried[numbers] = plane
    return carried


def _match_largest(
    one: NDArray[np.integer], other: NDArray[np.integer], *, sizes: NDArray[np.integer]
) -> Iterator[tuple[int, int]]:
    """Of pairs of numbers yield the largest of which neither number has been in one before; 0 is no number."""
    taken: tuple[set[int], set[int]] = ({0}, {0})
    for index in np.argsort(-sizes, kind="stable"):
        pair = int(one[index]), int(other[index])
        if pair[0] not in taken[0] and pair[1] not in taken[1]:
            taken[0].add(pair[0])
            taken[1].add(pair[1])
            yield pair


def _label_background(labels: IntLabels, *, axes: tuple[int, ...]) -> tuple[IntLabels, int]:
    """Number the pieces of background that are connected along the axes."""
    structure = np.zeros((3, 3, 3), np.bool_)
    for axis in axes:
        line = [1, 1, 1]
        for end in (0, 2):
            line[axis] = end
            structure[tuple(line)] = True
    structure[1, 1, 1] = True
    gaps, n = ndimage.label(labels == 0, structure=structure)
    return gaps, n


def _offsets(shape: tuple[int, ...], *, axes: tuple[int, ...]) -> Iterator[int]:
    """Steps in the flattened array (Z, Y, X) to the neighbours across faces, along the axes."""
    strides = (shape[1] * shape[2], shape[2], 1)
    for axis in axes:
        yield -strides[axis]
        yield strides[axis]
