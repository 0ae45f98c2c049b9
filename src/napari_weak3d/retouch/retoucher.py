"""Labels decided again from the probabilities that they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.retouch.blocks import Blocks, cut_blocks, survey, work_on
from napari_weak3d.retouch.components import Components, find_components
from napari_weak3d.retouch.flood import Flood
from napari_weak3d.retouch.holes import fill_holes
from napari_weak3d.retouch.settings import HALF, STEPS, Holes, Retouch
from napari_weak3d.types import IntLabels, SliceIndex

Codes: TypeAlias = NDArray[np.uint8]

_NO_SCORES: Mapping[int, float] = MappingProxyType({})
_AXES: dict[Holes, tuple[int, ...]] = {"closed": (0, 1, 2), "planes": (1, 2)}


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
    scores
        Of objects, 0 to 1, by id; one without a score is sure.
    n_blocks
        In how many parts to work on the volume at once; None: as suits the machine. What comes out is the same.

    Attributes
    ----------
    as_predicted
        The settings that give ``labels`` again, voxel by voxel. ``smallest`` is above 0 where the prediction left out
        small components; the largest of these was one voxel smaller.
    """

    def __init__(
        self,
        labels: IntLabels,
        probabilities: NDArray[np.float16] | None,
        *,
        scores: Mapping[int, float] = _NO_SCORES,
        n_blocks: int | None = None,
    ) -> None:
        self._blocks = cut_blocks(labels.shape, count=n_blocks)
        self._decider = _make_decider(np.ascontiguousarray(labels, dtype=np.int32), probabilities, blocks=self._blocks)
        self.as_predicted = Retouch(smallest=self._decider.smallest)
        self._scores = scores
        self._step = -1
        self._decision: _Decision | None = None

    @property
    def has_threshold(self) -> bool:
        """Whether the threshold changes anything."""
        return not isinstance(self._decider, _Fixed)

    def apply(self, settings: Retouch) -> IntLabels:
        """Make the labels: threshold first, then small and unsure objects leave, then holes are filled.

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
        step = round(settings.threshold * STEPS)
        if self._decision is None or step != self._step:
            self._decision, self._step = self._decider.decide(step), step
        unsure = [number for number, score in self._scores.items() if score < settings.least_score]
        labels = self._decision.labels(smallest=settings.smallest, but=unsure, blocks=self._blocks)
        if settings.fill_holes in _AXES:
            fill_holes(labels, axes=_AXES[settings.fill_holes], blocks=self._blocks)
        return labels

    def sketch(self, settings: Retouch, which: SliceIndex) -> IntLabels:
        """Make a slice at once, about as it will be; may be called while another thread is in :meth:`apply`.

        Which voxels belong to an object is right but for what only the whole volume tells: what leaves as a small
        part, holes that are closed in 3D, and what grows in from other slices. Objects that fall apart or join keep
        their ids.

        Returns
        -------
        IntLabels
            (rows, columns) int32 of the slice: the lower of the two axes comes first.
        """
        axis, index = which
        decider, decision, step = self._decider, self._decision, round(settings.threshold * STEPS)
        labels: IntLabels = np.take(decider.labels, index, axis=axis)[None]
        whole = cut_blocks(labels.shape, count=1)
        if decider.codes is not None and step != HALF:
            codes = np.take(decider.codes, index, axis=axis)[None]
            shrunk = np.where(codes > step, labels, 0)
            labels = shrunk if step > HALF else Flood(labels, codes, blocks=whole).at(step)
        leaves = [number for number, score in self._scores.items() if score < settings.least_score]
        if decision is not None:
            leaves += np.flatnonzero(np.bincount(decision.ids, weights=decision.sizes) < settings.smallest).tolist()
        labels[np.isin(labels, leaves)] = 0
        if settings.fill_holes == "planes" and axis == 0:
            fill_holes(labels, axes=_AXES["planes"], blocks=whole)
        sketched: IntLabels = labels[0]
        return sketched


@dataclass(frozen=True, eq=False)
class _Decision:
    """Labels before objects leave.

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

    def labels(self, *, smallest: int, but: Sequence[int], blocks: Blocks) -> IntLabels:
        """(Z, Y, X) ids of the objects of at least so many voxels, but for some; an array of its own."""
        of_object = np.bincount(self.ids, weights=self.sizes)[self.ids]
        ids = np.where((of_object >= smallest) & ~np.isin(self.ids, but), self.ids, 0)
        labels = np.empty_like(self.pieces)

        def look_up(block: slice) -> None:
            for pieces, out in zip(self.pieces[block], labels[block], strict=True):
                np.take(ids, pieces, out=out, mode="clip")  # indices of all at once would be twice as large

        work_on(blocks, look_up)
        return labels


def _decide_for(labels: IntLabels, *, blocks: Blocks) -> _Decision:
    """Each label is one piece."""
    sizes, _ = survey(labels, blocks=blocks)
    return _Decision(labels, np.arange(len(sizes), dtype=np.int32), sizes)


class _Fixed:
    """Labels without probabilities: one decision, whatever the threshold."""

    smallest, codes = 0, None

    def __init__(self, labels: IntLabels, *, blocks: Blocks) -> None:
        self.labels = labels
        self._decision = _decide_for(labels, blocks=blocks)

    def decide(self, step: int) -> _Decision:
        """Return the labels."""
        del step
        return self._decision


class _Classes:
    """Objects as connected voxels of a class; codes say up to which step a voxel is not background."""

    def __init__(self, labels: IntLabels, shares: NDArray[np.float16], *, blocks: Blocks) -> None:
        self.labels, self._blocks = labels, blocks
        self._old_sizes, self._old_places = survey(labels, blocks=blocks)
        self.codes, self._best = _rank_classes(shares, blocks=blocks)
        dropped = self._components(HALF, but=labels)
        sizes, _ = survey(dropped.parts, blocks=blocks)
        self.smallest = int(dropped.sum_up(sizes).max(initial=-1)) + 1 if dropped.count else 0

    def decide(self, step: int) -> _Decision:
        """Components at a step, under their old ids as far as these go round."""
        found = self._components(step)
        sizes_of_parts, places = survey(found.parts, blocks=self._blocks)
        sizes = found.sum_up(sizes_of_parts)
        if step >= HALF:  # a component lies in one old object, or in none
            old = found.spread(self.labels.reshape(-1)[places])
            pairs = _match_largest(np.arange(len(sizes)), old, sizes=sizes)
        else:  # an old object lies in one component
            homes = np.where(self._old_sizes > 0, found.of_part[found.parts.reshape(-1)[self._old_places]], 0)
            pairs = _match_largest(homes, np.arange(len(homes)), sizes=self._old_sizes)
        ids = np.zeros(len(sizes), np.int32)
        for number, before in pairs:
            ids[number] = before
        new = np.flatnonzero(ids == 0)[1:]  # the first is background
        ids[new] = len(self._old_sizes) + np.arange(len(new))
        return _Decision(found.parts, ids[found.of_part], sizes_of_parts)

    def _components(self, step: int, *, but: IntLabels | None = None) -> Components:
        """What is above a step, and no object of ``but``."""

        def read(block: slice) -> NDArray[np.bool_] | NDArray[np.uint8]:
            mask = self.codes[block] > step
            if but is not None:
                mask &= but[block] == 0
            return mask if self._best is None else np.where(mask, self._best[block], np.uint8(0))

        return find_components(read, self.codes.shape, blocks=self._blocks)


class _Objects:
    """Objects that shrink above the half and grow below it."""

    smallest = 0

    def __init__(self, labels: IntLabels, probability: NDArray[np.float16], *, blocks: Blocks) -> None:
        self.labels, self._blocks = labels, blocks
        self.codes = np.empty(labels.shape, np.uint8)
        work_on(blocks, lambda block: _encode_planes(probability[block], out=self.codes[block]))
        self._pieces = find_components(lambda block: labels[block], labels.shape, blocks=blocks)
        self._flood: Flood | None = None

    def decide(self, step: int) -> _Decision:
        """Labels as they are at the half, shrunk above it and grown below it."""
        if step > HALF:
            return self._shrink(step)
        return _decide_for(self.labels if step == HALF else self._grow(step), blocks=self._blocks)

    def _shrink(self, step: int) -> _Decision:
        # An id may have several pieces from the start, paint says so: each keeps its largest part. Parts of a piece
        # in two blocks touch where they have the same label.
        found = find_components(
            lambda block: np.where(self.codes[block] > step, self.labels[block], 0),
            self.labels.shape,
            blocks=self._blocks,
        )
        sizes_of_parts, places = survey(found.parts, blocks=self._blocks)
        sizes = found.sum_up(sizes_of_parts)
        piece = found.spread(self._pieces.of_part[self._pieces.parts.reshape(-1)[places]])
        label_of = found.spread(self.labels.reshape(-1)[places])
        ids = np.zeros(len(sizes), np.int32)
        for number, _ in _match_largest(np.arange(len(sizes)), piece, sizes=sizes):
            ids[number] = label_of[number]
        return _Decision(found.parts, ids[found.of_part], sizes_of_parts)

    def _grow(self, step: int) -> IntLabels:
        if self._flood is None:
            self._flood = Flood(self.labels, self.codes, blocks=self._blocks)
        return self._flood.at(step)


def _make_decider(
    labels: IntLabels, probabilities: NDArray[np.float16] | None, *, blocks: Blocks
) -> _Fixed | _Classes | _Objects:
    if probabilities is None:
        return _Fixed(labels, blocks=blocks)
    if len(probabilities) == 1:
        return _Objects(labels, probabilities[0], blocks=blocks)
    return _Classes(labels, probabilities, blocks=blocks)


def _encode(share: NDArray[np.float32]) -> Codes:
    """Share 0..1 -> the number of steps, from 0 on, that it lies above: ``share > step / 100`` is ``code > step``."""
    codes: Codes = np.ceil(share * np.float32(STEPS)).astype(np.uint8)
    return codes


def _encode_planes(shares: NDArray[np.float16], *, out: Codes) -> None:
    """Encode plane by plane: numbers of four bytes for all would be the largest array here."""
    for plane, codes in zip(shares, out, strict=True):
        codes[...] = _encode(plane.astype(np.float32))


def _rank_classes(shares: NDArray[np.float16], *, blocks: Blocks) -> tuple[Codes, Codes | None]:
    """(K, Z, Y, X) shares -> the code of the best class against background, and which it is (None: there is but one).

    What two classes share does not count: p / (p + background). That is above the half exactly where the class is the
    larger one as stored (halves differ by far more than single precision loses), and a tie goes to background: as the
    prediction was decided.
    """
    codes = np.empty(shares.shape[1:], np.uint8)
    best = np.empty(shares.shape[1:], np.uint8) if len(shares) > 2 else None

    def rank(block: slice) -> None:
        for z in range(block.start, block.stop):  # plane by plane, as in _encode_planes
            plane = shares[:, z].astype(np.float32)
            background, highest = plane[0], plane[1:].max(axis=0)
            codes[z] = _encode(highest / np.maximum(highest + background, np.float32(1e-6)))
            if best is not None:
                best[z] = plane[1:].argmax(axis=0) + 1

    work_on(blocks, rank)
    return codes, best


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
