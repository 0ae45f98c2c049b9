"""What a step lowers: the losses of the boxes and masks of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from napari_weak3d.methods.boxes.coding import decode
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.dense import mark_classes, projection_loss
from napari_weak3d.methods.boxes.drawing import BoxBatch, PatchTruth
from napari_weak3d.methods.boxes.geometry import (
    clip_boxes,
    find_centres,
    jitter_boxes,
    measure_volumes,
    pad_boxes,
    region_of,
)
from napari_weak3d.methods.boxes.losses import box_losses, mask_loss
from napari_weak3d.methods.boxes.masks import crop_masks
from napari_weak3d.methods.boxes.network import BoxNetwork, Outputs, make_picture
from napari_weak3d.methods.boxes.targets import (
    BACKGROUND,
    IGNORED,
    AnchorTargets,
    MatchRule,
    clip_truth,
    count_anchors,
    make_targets,
    match_anchors,
)
from napari_weak3d.nn.losses import softmax_loss
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.warp import UNLABELLED

_FOLLOWING = 0.1
"""How far the usual number of positives follows that of each batch (ours)."""


@dataclass(frozen=True, eq=False)
class _Matched:
    """A patch's true boxes (K, 2, 3), their rows (K,) in the patch's truth, which of them each anchor tells (A,), and
    targets.
    """

    boxes: Tensor
    rows: Tensor
    owners: Tensor
    targets: AnchorTargets


@dataclass(frozen=True, eq=False)
class _Rois:
    """Boxes (R, 2, 3) to learn masks in, the ids (R,) of their objects, and their patches (R,)."""

    boxes: Tensor
    ids: Tensor
    image: Tensor


@dataclass(eq=False)
class Objective:
    """The losses of one batch.

    Attributes
    ----------
    usual_positives
        How many anchors told an object in the batches before, 0: there were none; once measured, with this one.
    flat
        As ``dense.mark_classes`` takes it.
    map_weights
        (3,) weights of what a voxel may be; needed where the network has maps.
    parts
        Each loss by name, once measured.
    anchors_per_object
        How many anchors each object of the batch got, once measured.
    """

    batch: BoxBatch
    config: BoxesConfig
    compute: Compute
    rng: np.random.Generator
    usual_positives: float = 0.0
    flat: tuple[int, ...] = ()
    map_weights: Tensor | None = None
    parts: dict[str, float] = field(default_factory=dict)
    anchors_per_object: list[int] = field(default_factory=list)

    def measure(self, net: BoxNetwork, image: Tensor) -> Tensor:
        """Run the network on the batch's image (B, C, Z, Y, X) and give the sum of the losses."""
        with self.compute.autocast():
            out = net(image)
        out = out._replace(logits=out.logits.float(), offsets=out.offsets.float())
        anchors = net.place_anchors(_shape_of(image)).to(image.device)
        matched = [self._match(truth, anchors, shape=_shape_of(image)) for truth in self.batch.truth]
        told = [each.targets for each in matched]
        targets = AnchorTargets(
            torch.cat([each.classes for each in told]),
            torch.cat([each.offsets for each in told]),
            torch.cat([each.told for each in told]),
            torch.cat([each.weights for each in told]),
        )
        positives = float((targets.classes > 0).sum())
        self.usual_positives += _FOLLOWING * (positives - self.usual_positives) if self.usual_positives else positives
        found = box_losses(
            out.logits.flatten(0, 1),
            out.offsets.flatten(0, 1),
            targets=targets,
            kind=self.config.box_loss,
            usual_positives=self.usual_positives,
        )
        masks = self._mask_loss(net, out, matched, anchors, image)
        self.parts = {
            "box loss": float(found.classes.detach() + found.offsets.detach()),
            "mask loss": float(masks.detach()),
        }
        loss = found.classes + found.offsets + masks
        if out.maps is not None:
            told_maps = self._map_loss(out.maps)
            self.parts["map loss"] = float(told_maps.detach())
            loss = loss + told_maps
        return loss

    def _match(self, truth: PatchTruth, anchors: Tensor, *, shape: tuple[int, int, int]) -> _Matched:
        """Say what the anchors of one patch should tell."""
        region = region_of(shape)
        boxes, learned = truth.boxes.to(anchors.device), truth.learned.to(anchors.device)
        clipped = clip_truth(boxes[learned], region, least_share=self.config.kept_share)
        others = clip_boxes(boxes[~learned], region)
        ignored = torch.cat([clipped.ignored, others[measure_volumes(others) > 0]])
        rule = MatchRule(self.config.positive_iou, self.config.ignored_iou, self.config.least_anchors)
        owners = match_anchors(anchors, clipped.boxes, rule=rule, ignored=ignored)
        # What lies where not all objects are boxed is no negative.
        owners[(owners == BACKGROUND) & ~truth.are_known(find_centres(anchors))] = IGNORED
        rows = learned.nonzero()[:, 0][clipped.rows]
        self.anchors_per_object += count_anchors(owners, n_boxes=len(rows)).tolist()
        classes = truth.classes.to(anchors.device)[rows]
        targets = make_targets(
            owners, anchors, truth=clipped.boxes, classes=classes, least_told=self.config.ignored_iou
        )
        return _Matched(clipped.boxes, rows, owners, targets)

    def _map_loss(self, maps: Tensor) -> Tensor:
        """Compare what voxels are with what boxes and masks tell of them."""
        labels = torch.stack(
            [each.label_voxels(ids) for each, ids in zip(self.batch.truth, self.batch.masks, strict=True)]
        )
        classes = mark_classes(labels, flat=self.flat).to(maps.device)
        assert self.map_weights is not None
        weights = self.map_weights.to(maps.device)
        of_voxels = softmax_loss(maps.float(), classes, known=classes != UNLABELLED, class_weights=weights)
        foreground = 1 - maps.float().softmax(dim=1)[:, 0]
        of_boxes = [
            projection_loss(inside, truth.boxes[truth.learned & ~truth.has_mask].to(maps.device))
            for truth, inside in zip(self.batch.truth, foreground, strict=True)
        ]
        return of_voxels + torch.stack(of_boxes).mean()

    def _mask_loss(
        self, net: BoxNetwork, out: Outputs, matched: Sequence[_Matched], anchors: Tensor, image: Tensor
    ) -> Tensor:
        rois = self._choose_rois(out, matched, anchors)
        if len(rois.boxes) == 0:
            return out.logits.new_zeros(())
        with self.compute.autocast():
            picture = make_picture(image, out.maps)
            logits = net.find_masks(out.features, rois.boxes, image=rois.image, picture=picture)
        labels = self.batch.masks.to(rois.boxes.device)
        crops = crop_masks(labels, rois.boxes, ids=rois.ids, image=rois.image, size=logits.shape[-1])
        return mask_loss(logits.float(), crops, has_mask=torch.ones_like(rois.ids, dtype=torch.bool))

    def _choose_rois(self, out: Outputs, matched: Sequence[_Matched], anchors: Tensor) -> _Rois:
        """Choose boxes of objects with a given mask: true ones, jittered, and as many as the network itself finds.

        Completed masks teach the maps what objects look like; where these end they only guess, which made this head
        worse (SEG .72 instead of .74 of round cells that touch, measured). Objects without a mask would get a gradient
        of exactly zero: their masks are not computed.
        """
        parts = [self._choose_of_patch(number, out, each, anchors) for number, each in enumerate(matched)]
        boxes, ids, image = (torch.cat(part) for part in zip(*parts, strict=True))
        chosen = torch.from_numpy(self.rng.permutation(len(ids))[: self.config.rois]).to(ids.device)
        return _Rois(pad_boxes(boxes[chosen], share=self.config.roi_padding), ids[chosen], image[chosen])

    def _choose_of_patch(
        self, number: int, out: Outputs, matched: _Matched, anchors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        truth = self.batch.truth[number]
        masked = truth.given.to(anchors.device)[matched.rows].nonzero()[:, 0]
        jittered = jitter_boxes(matched.boxes[masked], share=self.config.roi_jitter, rng=self.rng)
        telling = [self._draw_telling(matched.owners, int(row)) for row in masked]
        found = torch.tensor([at for at in telling if at >= 0], dtype=torch.int64, device=anchors.device)
        decoded = decode(out.offsets[number][found].detach(), anchors[found])
        owners = torch.cat([masked, matched.owners[found]])
        ids = truth.ids.to(anchors.device)[matched.rows[owners]]
        return torch.cat([jittered, decoded]), ids, torch.full_like(ids, number)

    def _draw_telling(self, owners: Tensor, row: int) -> int:
        """Draw one of the anchors that tell a box; -1 where there is none."""
        telling = (owners == row).nonzero()[:, 0]
        return int(telling[int(self.rng.integers(len(telling)))]) if len(telling) else -1


def _shape_of(image: Tensor) -> tuple[int, int, int]:
    z, y, x = image.shape[2:]
    return z, y, x
