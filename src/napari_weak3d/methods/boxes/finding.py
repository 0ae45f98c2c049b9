"""Objects of a volume: boxes tile by tile, merged, then a mask for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.methods.boxes.components import Rule, box_components, grow_components
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.dense import BOUNDARY, INSIDE
from napari_weak3d.methods.boxes.detections import Detections, read_detections
from napari_weak3d.methods.boxes.geometry import find_centres, measure_sizes, pad_boxes
from napari_weak3d.methods.boxes.merging import choose_tiles, merge_tiles
from napari_weak3d.methods.boxes.network import BoxNetwork, make_picture
from napari_weak3d.methods.boxes.scheme import USUAL_SCORE, Calibration, Scheme
from napari_weak3d.methods.boxes.splitting import split_components
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.tile_plan import AxisTile, Shape, TilePlan
from napari_weak3d.nn.tiles import add_tile, plan_tiles, predict_tiles, read_box, with_smaller_tiles
from napari_weak3d.types import IntLabels, Region, Spacing

_TILE_ACROSS = 3.0
"""Larger objects along a tile, at least: each is seen whole in some tile, with something around it (ours)."""
_TILE_VOXELS = 1 << 24
"""Of a tile, at most, where objects allow: two gigabytes, or four in full precision (100 and 230 bytes each, measured).
"""
_TILE_STEP = 0.8
"""By this factor is a side of a tile lowered at a time."""
_OVERLAP_ACROSS = 1.1
"""Of the larger objects: so far do tiles overlap."""
_KEPT_BYTES = 1 << 30
"""Features that are kept from finding boxes to finding their masks; beyond, they are computed twice."""
_ROIS_AT_ONCE = 16
_MASK_LEVELS = 2
"""The finest levels, which masks are told from."""
_SMALLEST_SIDE = 0.5
"""Of a box, voxels: a flatter one is none."""


@dataclass(frozen=True, eq=False)
class Finder:
    """A network in evaluation mode on ``compute.device``, and what it takes to find objects with it.

    Attributes
    ----------
    net, compute, scheme, config
        The network and how it runs.
    has_masks
        Whether masks are to be found.
    threshold
        Least score of an object.
    rule
        Objects are the components of voxel maps that this makes; None: they are told from anchors.
    splitting
        Score from which objects that anchors tell split those components; None: they stay as they are.
    witness
        Where anchors tell objects, those that this rule makes of the voxel maps bear witness of faint ones; None:
        there is no such witness.
    """

    net: BoxNetwork
    compute: Compute
    scheme: Scheme
    config: BoxesConfig
    has_masks: bool
    threshold: float = USUAL_SCORE
    rule: Rule | None = None
    splitting: float | None = None
    witness: Rule | None = None

    @classmethod
    def calibrated(
        cls,
        net: BoxNetwork,
        compute: Compute,
        scheme: Scheme,
        config: BoxesConfig,
        *,
        has_masks: bool,
        calibration: Calibration | None,
    ) -> Finder:
        """Find as held-out boxes decided and the settings say; by anchors alone as long as nothing was decided."""
        if calibration is None:
            return cls(net, compute, scheme, config, has_masks, config.score_threshold or USUAL_SCORE)
        return cls(
            net,
            compute,
            scheme,
            config,
            has_masks,
            config.score_threshold or calibration.pick_threshold(config.objects_from),
            rule=calibration.pick_rule(config.objects_from),
            splitting=calibration.score_threshold if calibration.splits else None,
            witness=calibration.pick_witness(config.objects_from),
        )

    @property
    def suppress_iou(self) -> float:
        """Of boxes that overlap by more than this only the best stays."""
        return self.config.suppress_iou or self.scheme.suppress_iou


@dataclass(eq=False)
class Search:
    """The search of one volume.

    Attributes
    ----------
    finder
        What finds.
    image
        (C, Z, Y, X), normalised.
    spacing
        (z, y, x) of it.
    least_score
        Boxes below it are not kept.
    on_shrink
        Is told when memory ran out and tiles became smaller.
    found
        What was found so far, per tile.
    maps
        (2, Z, Y, X) probability of inside and of foreground, after :meth:`find_maps`, and after :meth:`find_boxes` if
        components bear witness; zeros where not yet told.
    labels
        (Z, Y, X) the components that the boxes are of, numbered as they are; None where anchors told them.
    masks
        (R, S, S, S) probabilities, after :meth:`find_masks`.
    """

    finder: Finder
    image: Any
    spacing: Spacing
    least_score: float
    on_shrink: Callable[[str], None] | None = None
    found: list[Detections] = field(default_factory=list)
    maps: NDArray[np.float32] | None = None
    labels: IntLabels | None = None
    masks: Tensor = field(default_factory=lambda: torch.zeros(0, 1, 1, 1))
    _plan: TilePlan | None = None
    _anchors: Tensor = field(default_factory=lambda: torch.zeros(0, 2, 3))
    _features: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)
    _rois_at_once: int = _ROIS_AT_ONCE

    @property
    def shape(self) -> Shape:
        """(Z, Y, X)."""
        z, y, x = self.image.shape[1:]
        return int(z), int(y), int(x)

    def find_maps(self) -> Iterator[tuple[int, int]]:
        """Tell what each voxel is; yields how many tiles are done, of how many."""
        return self._in_tiles(self._tell_in_tiles)

    def find_boxes(self) -> Iterator[tuple[int, int]]:
        """Find the boxes of all tiles; yields how many are done, of how many."""
        if self.finder.rule is not None and not self.splits:
            return self.find_maps()
        return self._in_tiles(self._find_in_tiles)

    def merge(self) -> Detections:
        """Give the boxes of all tiles that were searched, merged, the highest score first.

        Boxes of components come in the order of :attr:`labels`.
        """
        if self.finder.rule is not None and self.maps is not None:
            self.labels = grow_components(self.maps, self.finder.rule)
            return box_components(self.labels, self.maps[0], least=self.finder.rule.inside)
        return self.tell_by_anchors()

    @property
    def splits(self) -> bool:
        """Whether the components are to be split by what anchors tell."""
        return self.finder.rule is not None and self.finder.splitting is not None

    def tell_by_anchors(self) -> Detections:
        """Give what anchors found in all tiles that were searched, merged, whatever objects are made of."""
        if not self.found:
            return Detections(torch.zeros(0, 2, 3), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
        tiles = self._regions()[: len(self.found)]
        return merge_tiles(self.found, tiles=tiles, shape=self.shape, threshold=self.finder.suppress_iou)

    def split(self, told: IntLabels) -> Detections:
        """Split :attr:`labels` by what anchors tell (Z, Y, X); gives the boxes of all components."""
        assert self.finder.rule is not None
        assert self.labels is not None
        assert self.maps is not None
        self.labels = split_components(self.labels, told, self.maps[0])
        return box_components(self.labels, self.maps[0], least=self.finder.rule.inside)

    def witness(self) -> IntLabels | None:
        """Give the components that bear witness of faint objects, if any do."""
        if self.finder.witness is None or self.maps is None:
            return None
        return grow_components(self.maps, self.finder.witness)

    def find_masks(self, boxes: Tensor) -> Iterator[tuple[int, int]]:
        """Find the masks of boxes (R, 2, 3), padded; yields how many are done, of how many.

        Where memory runs out, features are no longer kept, and then fewer masks are found at a time.
        """
        size = 2 * self.finder.net.roi_size
        self.masks = torch.zeros(len(boxes), size, size, size)
        rois = self.pad(boxes)
        assert self._plan is not None
        chosen = choose_tiles(rois, tiles=self._regions()) if len(rois) else torch.zeros(0)
        done = 0
        for number, tile in enumerate(self._plan):
            rows = (chosen == number).nonzero()[:, 0]
            if not len(rows):
                continue
            features = self._features.get(number) or self._forward(tile, number)[0]
            placed: list[Tensor] = []
            while len(rows):
                part = rows[: self._rois_at_once]
                try:
                    placed = placed or [each.to(self.finder.compute.device) for each in features]
                    self.masks[part] = self._masks_of(placed, rois[part] - _start_of(tile))
                except Exception as error:
                    if not is_out_of_memory(error) or self._rois_at_once == 1:
                        raise
                    self._features, placed = {}, []
                    self._rois_at_once //= 2
                    continue
                rows, done = rows[len(part) :], done + len(part)
                yield done, len(rois)

    def pad(self, boxes: Tensor) -> Tensor:
        """Grow boxes (R, 2, 3) to those that masks are found in."""
        return pad_boxes(boxes, share=self.finder.config.roi_padding)

    @torch.inference_mode()
    def _masks_of(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        device = self.finder.compute.device
        *levels, picture = features
        image = torch.zeros(len(rois), dtype=torch.int64, device=device)
        with self.finder.compute.autocast():
            logits = self.finder.net.find_masks(levels, rois.to(device), image=image, picture=picture)
        return logits.float().sigmoid().cpu()

    @torch.inference_mode()
    def _tell_maps(self, batch: Tensor) -> Tensor:
        finder = self.finder
        with finder.compute.autocast():
            logits = finder.net.tell_maps(finder.compute.to_device(batch))
        return torch.stack([_read_maps(each) for each in logits.float().softmax(dim=1)])

    def _in_tiles(self, work: Callable[[TilePlan], Iterator[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
        planner = partial(plan_tiles, overlap=self._overlap(), multiple=self.finder.net.multiple)

        def begin(plan: TilePlan, _: int) -> Iterator[tuple[int, int]]:
            self._plan, self.found, self._features = plan, [], {}
            self._anchors = self.finder.net.place_anchors(plan.tile)
            return work(plan)

        return with_smaller_tiles(begin, self.shape, planner=planner, tile=self._tile(), on_shrink=self.on_shrink)

    def _tell_in_tiles(self, plan: TilePlan) -> Iterator[tuple[int, int]]:
        self.maps = np.zeros((2, *self.shape), np.float32)
        return predict_tiles(self._tell_maps, self.image, plan=plan, out=self.maps)

    def _find_in_tiles(self, plan: TilePlan) -> Iterator[tuple[int, int]]:
        with_maps = self.splits or self.finder.witness is not None
        self.maps = np.zeros((2, *self.shape), np.float32) if with_maps else None
        for number, tile in enumerate(plan):
            features, detections = self._forward(tile, number)
            self.found.append(detections)
            if self.maps is not None:
                chances = features[-1][0, self.image.shape[0] :]  # behind the image in what masks are told from
                add_tile(_read_maps(chances), tile, plan=plan, out=self.maps)
            yield len(self.found), len(plan)

    @torch.inference_mode()
    def _forward(self, tile: Sequence[AxisTile], number: int) -> tuple[tuple[Tensor, ...], Detections]:
        """Run the network on a tile: features and image for masks, which are kept if there is room, and its boxes."""
        assert self._plan is not None
        finder, shape = self.finder, self._plan.tile
        image = np.empty((self.image.shape[0], *shape), np.float32)
        read_box(self.image, [axis.start for axis in tile], out=image)
        with finder.compute.autocast():
            out = finder.net(finder.compute.to_device(torch.from_numpy(image)[None]))
        anchors = self._anchors.to(finder.compute.device)
        found = read_detections(
            out.logits[0].float(), out.offsets[0].float(), anchors=anchors, least_score=self.least_score
        )
        found = found.take((measure_sizes(found.boxes) >= _SMALLEST_SIDE).all(dim=1) & self._shown(found.boxes, tile))
        found = found.suppressed(threshold=finder.suppress_iou)
        picture = make_picture(torch.from_numpy(image[None]), None if out.maps is None else out.maps.cpu())
        features = (*(each.cpu() for each in out.features[:_MASK_LEVELS]), picture)
        if finder.has_masks and self._room_for(features):
            self._features[number] = features
        boxes = found.boxes.cpu() + _start_of(tile)
        return features, Detections(boxes, found.scores.cpu(), found.classes.cpu())

    def _shown(self, boxes: Tensor, tile: Sequence[AxisTile]) -> Tensor:
        """(N,) which boxes of a tile have their centre in the volume: beyond its faces tiles show it mirrored."""
        centres = find_centres(boxes) + _start_of(tile).to(boxes.device)
        return ((centres >= 0) & (centres <= boxes.new_tensor(self.shape))).all(dim=1)

    def _room_for(self, features: Sequence[Tensor]) -> bool:
        kept = sum(each.nbytes for part in self._features.values() for each in part)
        return kept + sum(each.nbytes for each in features) <= _KEPT_BYTES

    def _regions(self) -> list[Region]:
        assert self._plan is not None
        return [_region(tile, self._plan.tile, shape=self.shape) for tile in self._plan]

    def _tile(self) -> Shape:
        scheme = self.finder.scheme
        finest = min(along * step for along, step in zip(self.spacing, scheme.stem, strict=True))
        z, y, x = (
            max(1, round(max(self.finder.config.tile * finest / along, _TILE_ACROSS * size)))
            for along, size in zip(self.spacing, scheme.largest, strict=True)
        )
        return self._shrink_tile((z, y, x))

    def _shrink_tile(self, tile: Shape) -> Shape:
        """Lower the longest sides while a tile has too many voxels, as long as the larger objects fit into it."""
        sides = np.minimum(tile, self.shape)
        least = _TILE_ACROSS * np.array(self.finder.scheme.largest)
        if np.prod(sides) <= _TILE_VOXELS:
            return tile
        while np.prod(sides) > _TILE_VOXELS and (sides * _TILE_STEP >= least).any():
            longest = np.where(sides * _TILE_STEP >= least, sides, 0).argmax()
            sides[longest] = sides[longest] * _TILE_STEP
        z, y, x = sides.tolist()
        return z, y, x

    def _overlap(self) -> Shape:
        z, y, x = (max(2, round(_OVERLAP_ACROSS * size)) for size in self.finder.scheme.largest)
        return z, y, x


def _read_maps(chances: Tensor) -> Tensor:
    """(3, Z, Y, X) chances of each kind of voxel -> those of inside, and of foreground (2, Z, Y, X)."""
    return torch.stack([chances[INSIDE], chances[INSIDE] + chances[BOUNDARY]])


def _start_of(tile: Sequence[AxisTile]) -> Tensor:
    return torch.tensor([float(axis.start) for axis in tile])


def _region(tile: Sequence[AxisTile], size: Shape, *, shape: Shape) -> Region:
    """What a tile shows of the volume."""
    z, y, x = (
        (max(0, axis.start), min(axis.start + side, length))
        for axis, side, length in zip(tile, size, shape, strict=True)
    )
    return z, y, x
