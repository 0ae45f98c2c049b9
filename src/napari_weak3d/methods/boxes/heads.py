"""The heads of the network: what each voxel is, boxes from anchors, and masks in boxes."""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn

from napari_weak3d.methods.boxes.dense import N_MAPS

Triple: TypeAlias = tuple[int, int, int]

_PRIOR = 0.01
"""Probability of an object that every anchor says at first (Lin et al. 2017): most see none, and would be all of the
loss."""
_MIXING_STEPS = 3
"""Convolutions of the deep mask head at the coarse resolution, beside the first one (ours)."""
_GROUPS = 4
"""Of the group norms of the mask head; widths are multiples of it."""


class MapHead(nn.Module):
    """What each voxel is, from the finest features and the image (ours).

    Boxes alone tell a network little per patch; that nothing outside of them is an object tells it a lot. Features are
    brought to the resolution of the image, which joins them there: where objects end, features behind a strided stem
    do not show.
    """

    def __init__(self, channels: int, *, channels_in: int, stem: Triple) -> None:
        super().__init__()
        few = channels // 4
        self.up = nn.ConvTranspose3d(channels, few, stem, stem)
        self.mixed = nn.Sequential(smooth(few + channels_in, few), smooth(few, few))
        self.last = nn.Conv3d(few, N_MAPS, 1)

    def forward(self, finest: Tensor, image: Tensor) -> Tensor:
        """(B, P, Z', Y', X') and (B, C, Z, Y, X) -> logits (B, 3, Z, Y, X)."""
        features = self.up(finest)
        logits: Tensor = self.last(self.mixed(torch.cat([features, image.to(features.dtype)], dim=1)))
        return logits


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


def smooth(channels_in: int, channels_out: int, *, kernel: Triple = (3, 3, 3)) -> nn.Sequential:
    """Convolve, keeping the size; batch norm, ReLU."""
    convolution = nn.Conv3d(
        channels_in, channels_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2), bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm3d(channels_out), nn.ReLU())


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
