"""The default network: a U-Net in the plane that sees a slab of neighbouring planes.

With a few painted planes, what is known is planar: a network with 3D convolutions spends most of its work on voxels
that nobody painted. This one takes the neighbouring planes as further channels (``slabs``), and many more painted
voxels are seen per second. As in Cicek et al. 2016 channels double from level to level, and skips and up-convolutions
bring resolution back; other than there, it is padded, narrower, and pools as the spacing asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EVEN_RATIO = 1.5
"""Axes whose voxels are longer than this times the shortest are not pooled yet (ours)."""


class PlanarBlock(nn.Module):
    """Two 3x3 convolutions in the plane, each with batch norm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, Y, X) -> (N, C', Y, X)."""
        image = F.relu(self.norm1(self.conv1(image)), inplace=True)
        return F.relu(self.norm2(self.conv2(image)), inplace=True)


class PlanarUNet(nn.Module):
    """A padded U-Net that works on each plane of a volume for itself.

    Parameters
    ----------
    channels_in
        Channels of the slab: image channels times planes seen.
    channels_out
        Classes, and further maps.
    spacing_yx
        Size of a pixel in the plane, any unit: only axes of about equal spacing are pooled together.
    width
        Channels of the first level; doubled from level to level, up to eight times.
    levels
        Resolution steps.

    Notes
    -----
    In evaluation the statistics of batch norm are those gathered in training: frozen, so tiles agree.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        spacing_yx: tuple[float, float] = (1.0, 1.0),
        width: int = 16,
        levels: int = 5,
    ) -> None:
        super().__init__()
        self.strides = plan_strides(spacing_yx, levels=levels)
        widths = [min(width * 2**level, 8 * width) for level in range(levels)]
        self.down = nn.ModuleList(
            PlanarBlock(before, after) for before, after in zip([channels_in, *widths[:-1]], widths, strict=True)
        )
        finer_first = list(zip(widths[:-1], widths[1:], self.strides, strict=True))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, stride, stride, bias=False) for fine, coarse, stride in finer_first[::-1]
        )
        self.merge = nn.ModuleList(PlanarBlock(2 * fine, fine) for fine, _, _ in finer_first[::-1])
        self.head = nn.Conv2d(widths[0], channels_out, 1)

    @property
    def multiple(self) -> tuple[int, int, int]:
        """What the sizes (Z, Y, X) of an input must be multiples of."""
        y, x = torch.tensor(self.strides).reshape(-1, 2).prod(0).tolist()
        return 1, int(y), int(x)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> (B, K, Z, Y, X) logits; sizes in the plane must be multiples of :attr:`multiple`."""
        n_batch, _, depth = image.shape[:3]
        planes = image.transpose(1, 2).flatten(0, 1)  # (B, C, Z, Y, X) -> (B*Z, C, Y, X)
        if image.is_contiguous(memory_format=torch.channels_last_3d):
            planes = planes.contiguous(memory_format=torch.channels_last)
        logits = self.head(self._features(planes))
        return logits.unflatten(0, (n_batch, depth)).transpose(1, 2)  # type: ignore[no-any-return]

    def _features(self, planes: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block, stride in zip(self.down, [*self.strides, None], strict=True):
            planes = block(planes)
            if stride is not None:
                skips.append(planes)
                planes = F.max_pool2d(planes, stride)
        for up, merge in zip(self.up, self.merge, strict=True):
            planes = merge(torch.cat([up(planes), skips.pop()], dim=1))
        return planes


def plan_strides(spacing_yx: Sequence[float], *, levels: int) -> list[tuple[int, int]]:
    """Give the pooling (y, x) between levels: 2 along the axes with the finest voxels, until all are about as long."""
    spacing, strides = list(spacing_yx), []
    for _ in range(levels - 1):
        finest = min(spacing)
        stride = tuple(2 if along <= _EVEN_RATIO * finest else 1 for along in spacing)
        spacing = [along * step for along, step in zip(spacing, stride, strict=True)]
        strides.append((stride[0], stride[1]))
    return strides
