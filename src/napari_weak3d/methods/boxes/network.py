"""The network: a backbone of VoxRes blocks, heads that tell boxes from anchors, and one that tells masks in boxes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_weak3d.methods.boxes.anchors import AnchorLayer, place_anchors
from napari_weak3d.methods.boxes.dense import N_MAPS
from napari_weak3d.methods.boxes.heads import AnchorHead, DeepMaskHead, MapHead, MaskHead, Triple, smooth
from napari_weak3d.methods.boxes.roi_align import roi_align
from napari_weak3d.nn.unet3d import Level, plan_levels
from napari_weak3d.types import Spacing

_WIDEST = 8
"""Channels grow up to this times those of the first level."""
_MASK_LEVELS = (0, 1)
"""The two finest levels: masks need resolution more than context (ours; the paper takes two layers of the backbone)."""


class Outputs(NamedTuple):
    """What the network says of images.

    Attributes
    ----------
    features
        Of each level, the finest first: (B, P, Z, Y, X). Nothing is to be told from levels without anchors but the two
        finest.
    logits
        (B, A, c), class 0 being the background.
    offsets
        (B, A, 6), as ``coding`` reads them.
    maps
        (B, 3, Z, Y, X) logits of what each voxel is: background, inside, boundary; None where they are not learned.
    """

    features: tuple[Tensor, ...]
    logits: Tensor
    offsets: Tensor
    maps: Tensor | None = None


def plan_backbone(grain: Spacing, *, stem: Triple, levels: int) -> tuple[list[Level], list[Triple]]:
    """Plan a backbone: its levels after the stem, and how many voxels of the image a feature of each stands for.

    Parameters
    ----------
    grain
        Size of a voxel (z, y, x), any unit: axes with longer voxels are not mixed or halved yet.
    stem
        Stride (z, y, x) of the first convolution.
    levels
        Resolution steps.

    Returns
    -------
    The levels, and their strides (z, y, x), the finest first: what ``plan_anchors`` takes.
    """
    z, y, x = (along * step for along, step in zip(grain, stem, strict=True))
    plan = plan_levels((z, y, x), levels=levels)
    strides: list[Triple] = [stem]
    for level in plan[:-1]:
        before = strides[-1]
        strides.append((before[0] * level.stride[0], before[1] * level.stride[1], before[2] * level.stride[2]))
    return plan, strides


class VoxResBlock(nn.Module):
    """Batch norm, ReLU, convolution, twice, plus what came in (Zhao et al. 2018, after their reference 1)."""

    def __init__(self, channels: int, *, kernel: Triple) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv1 = nn.Conv3d(channels, channels, kernel, padding=_same(kernel), bias=False)
        self.norm2 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, kernel, padding=_same(kernel), bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> the same."""
        inner: Tensor = self.conv1(F.relu(self.norm1(image)))
        change: Tensor = self.conv2(F.relu(self.norm2(inner)))
        return image + change


class Backbone(nn.Module):
    """VoxRes blocks at falling resolution, then up-convolutions that bring what the coarse levels saw to the fine ones.

    The way up is ours: a fine level alone sees too little around it to tell where a large box ends.

    Parameters
    ----------
    channels_in
        Of the image.
    plan
        From :func:`plan_backbone`.
    stem
        Stride (z, y, x) of the first convolution.
    width
        Channels of the first level.
    channels_out
        P, of every level's features.
    used
        The levels whose features something is told from; those of the others are only passed on.
    """

    def __init__(
        self,
        channels_in: int,
        *,
        plan: Sequence[Level],
        stem: Triple,
        width: int,
        channels_out: int,
        used: Collection[int],
    ) -> None:
        super().__init__()
        widths = [min(width * 2**level, _WIDEST * width) for level in range(len(plan))]
        self.stem = _make_stem(channels_in, width, stride=stem, kernel=plan[0].kernel)
        self.blocks = nn.ModuleList(
            VoxResBlock(channels, kernel=level.kernel) for channels, level in zip(widths, plan, strict=True)
        )
        # As wide as they stride, centred for the same reason.
        self.down = nn.ModuleList(
            nn.Conv3d(fine, coarse, level.stride, level.stride, bias=False)
            for fine, coarse, level in zip(widths[:-1], widths[1:], plan[:-1], strict=True)
        )
        self.across = nn.ModuleList(
            nn.Sequential(nn.BatchNorm3d(channels), nn.ReLU(), nn.Conv3d(channels, channels_out, 1, bias=False))
            for channels in widths
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(channels_out, channels_out, level.stride, level.stride, bias=False)
            for level in plan[:-1]
        )
        self.smooth = nn.ModuleList(
            smooth(channels_out, channels_out, kernel=level.kernel) if number in used else nn.Identity()
            for number, level in enumerate(plan)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, C, Z, Y, X) -> features (B, P, Z', Y', X') of each level, the finest first."""
        seen = [self.blocks[0](self.stem(image))]
        for down, block in zip(self.down, list(self.blocks)[1:], strict=True):
            seen.append(block(down(seen[-1])))
        told = [across(features) for across, features in zip(self.across, seen, strict=True)]
        for level in range(len(told) - 2, -1, -1):
            told[level] = told[level] + self.up[level](told[level + 1])
        return tuple(smooth(features) for smooth, features in zip(self.smooth, told, strict=True))


class BoxNetwork(nn.Module):
    """Boxes and masks from an image.

    Parameters
    ----------
    channels_in
        Of the image.
    n_classes
        c, the background among them.
    grain
        As :func:`plan_backbone`.
    anchors
        The layers that tell boxes, planned for the strides of ``plan_backbone`` with the same grain, stem and levels.
    width
        Channels of the first level; doubled from level to level, up to eight times. A multiple of 4.
    levels, stem
        As :func:`plan_backbone`.
    roi_size
        s, points along a box at which features are sampled; masks have 2 * s.
    deep_masks
        Whether masks are told by :class:`DeepMaskHead` or, as in the paper, by :class:`MaskHead`.
    voxel_maps
        Whether there is a :class:`MapHead`; masks are then told from its maps too.

    Notes
    -----
    In evaluation the statistics of batch norm are those gathered in training: frozen, so tiles agree.
    """

    def __init__(
        self,
        channels_in: int,
        n_classes: int,
        *,
        grain: Spacing,
        anchors: Sequence[AnchorLayer],
        width: int = 16,
        levels: int = 4,
        stem: Triple = (1, 2, 2),
        roi_size: int = 12,
        deep_masks: bool = True,
        voxel_maps: bool = True,
    ) -> None:
        super().__init__()
        plan, self.strides = plan_backbone(grain, stem=stem, levels=levels)
        self.anchor_layers = tuple(anchors)
        self.roi_size = roi_size
        channels = 2 * width
        used = {*_MASK_LEVELS, *(layer.level for layer in anchors)}
        self.backbone = Backbone(channels_in, plan=plan, stem=stem, width=width, channels_out=channels, used=used)
        self.heads = nn.ModuleList(
            AnchorHead(channels, n_anchors=len(layer.sizes), n_classes=n_classes) for layer in anchors
        )
        shown = channels_in + (N_MAPS if voxel_maps else 0)
        self.mask_head = DeepMaskHead(channels, channels_in=shown) if deep_masks else MaskHead(channels)
        self.map_head = MapHead(channels, channels_in=channels_in, stem=stem) if voxel_maps else None

    @property
    def multiple(self) -> Triple:
        """What the sizes (Z, Y, X) of an input must be multiples of."""
        return self.strides[-1]

    def forward(self, image: Tensor) -> Outputs:
        """(B, C, Z, Y, X) -> Outputs; sizes must be multiples of :attr:`multiple`."""
        features = self.backbone(image)
        told = [head(features[layer.level]) for head, layer in zip(self.heads, self.anchor_layers, strict=True)]
        logits, offsets = (torch.cat(parts, dim=1) for parts in zip(*told, strict=True))
        maps = None if self.map_head is None else self.map_head(features[0], image)
        return Outputs(features, logits, offsets, maps)

    def tell_maps(self, image: Tensor) -> Tensor:
        """Tell only what each voxel is: (B, C, Z, Y, X) -> logits (B, 3, Z, Y, X). There must be a map head."""
        assert self.map_head is not None
        logits: Tensor = self.map_head(self.backbone(image)[0], image)
        return logits

    def place_anchors(self, shape: Triple) -> Tensor:
        """Place the anchors (A, 2, 3) of an image of (Z, Y, X) voxels, in the order of what :meth:`forward` says."""
        return torch.cat([place_anchors(layer, _shrink(shape, layer.stride)) for layer in self.anchor_layers])

    def find_masks(self, features: Sequence[Tensor], rois: Tensor, *, image: Tensor, picture: Tensor) -> Tensor:
        """Tell the masks inside boxes.

        Parameters
        ----------
        features
            What :meth:`forward` gave; the two finest levels are used.
        rois
            (R, 2, 3), voxels of the image; R may be 0. No gradient flows into them.
        image
            (R,) int64: which image of the batch each box is of.
        picture
            (B, C or C + 3, Z, Y, X): as :func:`make_picture` gives it.

        Returns
        -------
        (R, 2s, 2s, 2s) logits, float32 or as autocast has it.
        """
        if len(rois) == 0:  # group norm takes no empty batch
            return features[0].new_zeros(0, *(2 * self.roi_size,) * 3)
        fine, coarse = (
            roi_align(features[level], rois, image=image, stride=self.strides[level], size=self.roi_size)
            for level in _MASK_LEVELS
        )
        shown = roi_align(picture, rois, image=image, stride=(1, 1, 1), size=2 * self.roi_size)
        logits: Tensor = self.mask_head(fine, coarse, shown)
        return logits


def make_picture(image: Tensor, maps: Tensor | None) -> Tensor:
    """Put images (B, C, Z, Y, X) and what their voxels are, as logits (B, 3, Z, Y, X), together for the mask head."""
    return image if maps is None else torch.cat([image, maps.detach().float().softmax(dim=1).to(image.dtype)], dim=1)


def _make_stem(channels_in: int, channels_out: int, *, stride: Triple, kernel: Triple) -> nn.Conv3d:
    """Along strided axes one voxel wider than the stride on each side: centred on what a feature stands for."""
    z, y, x = (step + 2 if step > 1 else size for step, size in zip(stride, kernel, strict=True))
    above, before, left = (1 if step > 1 else size // 2 for step, size in zip(stride, kernel, strict=True))
    return nn.Conv3d(channels_in, channels_out, (z, y, x), stride, (above, before, left), bias=False)


def _same(kernel: Triple) -> Triple:
    """Padding that keeps the size."""
    return kernel[0] // 2, kernel[1] // 2, kernel[2] // 2


def _shrink(shape: Triple, stride: Triple) -> Triple:
    return shape[0] // stride[0], shape[1] // stride[1], shape[2] // stride[2]
