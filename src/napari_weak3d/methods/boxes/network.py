"""The network: a backbone of VoxRes blocks, heads that tell boxes from anchors, and one that tells masks in boxes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_weak3d.methods.boxes.anchors import AnchorLayer, place_anchors
from napari_weak3d.methods.boxes.roi_align import roi_align
from napari_weak3d.nn.unet3d import Level, plan_levels
from napari_weak3d.types import Spacing

Triple: TypeAlias = tuple[int, int, int]

_WIDEST = 8
"""Channels grow up to this times those of the first level."""
_PRIOR = 0.01
"""Probability of an object that every anchor says at first (Lin et al. 2017): most see none, and would be all of the
loss."""
_MASK_LEVELS = (0, 1)
"""The two finest levels: masks need resolution more than context (ours; the paper takes two layers of the backbone)."""
_MIXING_STEPS = 3
"""Convolutions of the deep mask head at the coarse resolution, beside the first one (ours)."""
_GROUPS = 4
"""Of the group norms of the mask head; widths are multiples of it."""


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
    """

    features: tuple[Tensor, ...]
    logits: Tensor
    offsets: Tensor


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
            _smooth(channels_out, kernel=level.kernel) if number in used else nn.Identity()
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


class AnchorHead(nn.Module):
    """What r anchors at each location say: c * r filters for the class, 6 * r for the offsets, 3x3x3 (section 2.1)."""

    def __init__(self, channels: int, *, n_anchors: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.classes = nn.Conv3d(channels, n_anchors * n_classes, 3, padding=1)
        self.offsets = nn.Conv3d(channels, n_anchors * 6, 3, padding=1)
        for convolution in (self.classes, self.offsets):
            nn.init.normal_(convolution.weight, std=0.01)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # there is one
        background = math.log((1 - _PRIOR) / _PRIOR * (n_classes - 1))
        with torch.no_grad():
            self.classes.bias.reshape(n_anchors, n_classes)[:, 0] = background  # type: ignore[union-attr]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, Z, Y, X) -> logits (B, Z*Y*X*r, c) and offsets (B, Z*Y*X*r, 6)."""
        return _by_anchor(self.classes(features), self.n_classes), _by_anchor(self.offsets(features), 6)


class DeepMaskHead(nn.Module):
    """Masks from features of two levels and from where in the box they lie, in some steps, and from the image itself.

    In boxes that overlap a neighbour's, what belongs to the object in the middle is told by what lies far from it too:
    the head of the paper, which mixes little more than next points, gives the foreground of all objects there (ours,
    measured). Where objects end, the image shows more finely than features behind a strided stem. Group norm for the
    same reason as in :class:`MaskHead`.
    """

    def __init__(self, channels: int, *, channels_in: int) -> None:
        super().__init__()
        half = channels // 2
        self.first = _convolve(2 * channels + 4, channels)
        self.mixed = nn.ModuleList(_convolve(channels, channels) for _ in range(_MIXING_STEPS))
        self.up = nn.ConvTranspose3d(channels, half, 2, 2)
        self.after = nn.Sequential(_convolve(half + channels_in, half), _convolve(half, half))
        self.last = nn.Conv3d(half, 1, 1)

    def forward(self, fine: Tensor, coarse: Tensor, picture: Tensor) -> Tensor:
        """Two (R, P, s, s, s) and (R, C, 2s, 2s, 2s) of the image -> logits (R, 2s, 2s, 2s)."""
        features: Tensor = self.first(torch.cat([fine, coarse, _place_in_box(fine)], dim=1))
        for step in self.mixed:
            features = features + step(features)
        logits: Tensor = self.last(self.after(torch.cat([self.up(features), picture.to(features.dtype)], dim=1)))
        return logits[:, 0]


class MaskHead(nn.Module):
    """Masks from features of two levels: up-convolved, concatenated, one logit per point (section 2.2).

    Group norm, so that what is said of one box depends on no other: neither on how many there are, nor on boxes whose
    instance has no mask (ours). One mask for whatever class (ours): with few masks, they serve all classes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(_convolve(channels, channels) for _ in range(2))
        self.up = nn.ModuleList(nn.ConvTranspose3d(channels, channels // 2, 2, 2) for _ in range(2))
        self.after = _convolve(2 * (channels // 2), channels)
        self.last = nn.Conv3d(channels, 1, 1)

    def forward(self, fine: Tensor, coarse: Tensor, _picture: Tensor) -> Tensor:
        """Two (R, P, s, s, s) -> logits (R, 2s, 2s, 2s)."""
        parts = [
            up(before(features)) for up, before, features in zip(self.up, self.before, (fine, coarse), strict=True)
        ]
        logits: Tensor = self.last(self.after(torch.cat(parts, dim=1)))
        return logits[:, 0]


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
        self.mask_head = DeepMaskHead(channels, channels_in=channels_in) if deep_masks else MaskHead(channels)

    @property
    def multiple(self) -> Triple:
        """What the sizes (Z, Y, X) of an input must be multiples of."""
        return self.strides[-1]

    def forward(self, image: Tensor) -> Outputs:
        """(B, C, Z, Y, X) -> Outputs; sizes must be multiples of :attr:`multiple`."""
        features = self.backbone(image)
        told = [head(features[layer.level]) for head, layer in zip(self.heads, self.anchor_layers, strict=True)]
        logits, offsets = (torch.cat(parts, dim=1) for parts in zip(*told, strict=True))
        return Outputs(features, logits, offsets)

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
            (B, C, Z, Y, X): the images.

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


def _smooth(channels: int, *, kernel: Triple) -> nn.Sequential:
    convolution = nn.Conv3d(channels, channels, kernel, padding=_same(kernel), bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(channels), nn.ReLU())


def _convolve(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False), nn.GroupNorm(_GROUPS, channels_out), nn.ReLU()
    )


def _place_in_box(features: Tensor) -> Tensor:
    """(R, P, s, s, s) -> (R, 4, s, s, s): z, y, x in -1..1 over the box, and the distance from its middle."""
    size = features.shape[-1]
    along = (torch.arange(size, device=features.device, dtype=features.dtype) + 0.5) / size * 2 - 1
    places = torch.stack(torch.meshgrid(along, along, along, indexing="ij"))
    return torch.cat([places, places.norm(dim=0, keepdim=True)])[None].expand(len(features), -1, -1, -1, -1)


def _by_anchor(maps: Tensor, parts: int) -> Tensor:
    """(B, r * parts, Z, Y, X) -> (B, Z*Y*X*r, parts)."""
    return maps.movedim(1, -1).reshape(len(maps), -1, parts)
