"""The 3D U-Net of Cicek et al. 2016, layer by layer as the paper has it.

Four resolution steps; twice a 3x3x3 convolution without padding, batch normalisation and ReLU on each; 2x2x2 max
pooling; 2x2x2 up-convolution; channels doubled before each pooling. A tile of 116x132x132 voxels (z, y, x) gives
28x44x44: the output lacks ``MARGIN`` voxels on every side, and its sizes leave a remainder of 4 by ``STRIDE``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

from napari_weak3d.errors import ConfigError

Shape: TypeAlias = tuple[int, int, int]

STRIDE = 8
"""Voxels by which a tile may be moved without changing which voxels are pooled together: 2 to the power of 3."""
MARGIN = 44
"""Voxels that the output lacks on each side of the input."""
SMALLEST_OUTPUT = 4
"""Voxels of the smallest output along an axis; every other one is larger by a multiple of STRIDE."""

PAPER_WIDTH = 32


class PaperUNet(nn.Module):
    """The 3D U-Net of the paper.

    Batch normalisation uses the statistics of the current batch, in testing as in training, as the paper found best
    for a batch of one; :func:`freeze_statistics` fixes one set of them where tiles have to agree.

    Parameters
    ----------
    in_channels, classes
        Channels of the image, and of the output (raw scores, no softmax); 3 and 3 in the paper.
    width
        Channels after the first convolution; 32 in the paper, less for a slim version of the same shape.
    """

    def __init__(self, in_channels: int = 3, classes: int = 3, *, width: int = PAPER_WIDTH) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                _two_convolutions(in_channels, width, 2 * width),
                _two_convolutions(2 * width, 2 * width, 4 * width),
                _two_convolutions(4 * width, 4 * width, 8 * width),
            ]
        )
        self.pool = nn.MaxPool3d(2)
        self.bottom = _two_convolutions(8 * width, 8 * width, 16 * width)
        self.enlarge = nn.ModuleList([_up_convolution(channels * width) for channels in (16, 8, 4)])
        self.up = nn.ModuleList(
            [
                _two_convolutions((16 + 8) * width, 8 * width, 8 * width),
                _two_convolutions((8 + 4) * width, 4 * width, 4 * width),
                _two_convolutions((4 + 2) * width, 2 * width, 2 * width),
            ]
        )
        self.scores = nn.Conv3d(2 * width, classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Score the classes of the voxels inside the margin.

        Parameters
        ----------
        image
            (B, C, Z, Y, X) with sizes as :func:`valid_output_shape` accepts them.

        Returns
        -------
        Tensor
            (B, classes, Z - 88, Y - 88, X - 88).
        """
        skips = []
        for block in self.down:
            image = block(image)
            skips.append(image)
            image = self.pool(image)
        image = self.bottom(image)
        for enlarge, block, skip in zip(self.enlarge, self.up, reversed(skips), strict=True):
            image = enlarge(image)
            image = block(torch.cat([_crop_centre(skip, image.shape[2:]), image], dim=1))
        scores: Tensor = self.scores(image)
        return scores


def _two_convolutions(channels_in: int, channels_between: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_between, kernel_size=3),
        nn.BatchNorm3d(channels_between, track_running_stats=False),
        nn.ReLU(inplace=True),
        nn.Conv3d(channels_between, channels_out, kernel_size=3),
        nn.BatchNorm3d(channels_out, track_running_stats=False),
        nn.ReLU(inplace=True),
    )


def _up_convolution(channels: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(channels, channels, kernel_size=2, stride=2, bias=False)


def _crop_centre(features: Tensor, shape: Iterable[int]) -> Tensor:
    """(B, C, Z, Y, X) -> (B, C, *shape)."""
    for axis, size in enumerate(shape, start=2):
        features = features.narrow(axis, (features.shape[axis] - size) // 2, size)
    return features


def count_paper_parameters(net: nn.Module) -> int:
    """Count as the paper does: all weights and biases of convolutions and up-convolutions, no batch normalisation."""
    counted = (nn.Conv3d, nn.ConvTranspose3d)
    return sum(
        parameter.numel()
        for module in net.modules()
        if isinstance(module, counted)
        for parameter in module.parameters(recurse=False)
    )


def valid_output_shape(shape: Shape) -> Shape:
    """Give the output's (Z, Y, X) for an input of ``shape``, without computing anything.

    Raises
    ------
    ConfigError
        A size that the network cannot take: smaller than 92, or not 4 more than a multiple of 8.
    """
    for axis, size in zip("zyx", shape, strict=True):
        fitting = valid_input_shape((size - 2 * MARGIN,) * 3)[0]
        if size != fitting:
            raise ConfigError(
                f"tile {axis} = {size} does not fit the unpadded 3D U-Net: take {fitting} (4 more than a multiple of "
                f"{STRIDE}, at least {SMALLEST_OUTPUT + 2 * MARGIN})",
                where="tile",
                value=shape,
            )
    z, y, x = (size - 2 * MARGIN for size in shape)
    return z, y, x


def valid_input_shape(output_shape: Shape) -> Shape:
    """Give the smallest input's (Z, Y, X) whose output is at least ``output_shape``, without computing anything."""
    z, y, x = (
        SMALLEST_OUTPUT + STRIDE * max(0, -(-(size - SMALLEST_OUTPUT) // STRIDE)) + 2 * MARGIN for size in output_shape
    )
    return z, y, x


def freeze_statistics(net: nn.Module, tiles: Iterable[Tensor]) -> None:
    """Fix one set of batch statistics for all that ``net`` computes from now on, and put it into evaluation mode.

    Each normalisation gets the mean and variance of its input over all tiles, every tile passing through the network
    with its own statistics as in training. Tiles of a volume then agree where they overlap, and the result no longer
    depends on how it is cut. ``net.train()`` goes back to the statistics of the batch for as long as it lasts.

    Parameters
    ----------
    net
        Any network with ``nn.BatchNorm3d`` layers; its parameters are not changed.
    tiles
        Batches (B, C, Z, Y, X) that together stand for the volume; taken one by one. On the network's device.

    Raises
    ------
    ValueError
        There is no tile.
    """
    for _ in gather_statistics(net, tiles):
        pass


def gather_statistics(net: nn.Module, tiles: Iterable[Tensor]) -> Iterator[int]:
    """Do what :func:`freeze_statistics` does, and yield after each tile how many there were; frozen with the last one.

    Closed before that, the network goes by the statistics of the batch.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm3d)]
    thaw_statistics(net)
    moments = {norm: _Moments() for norm in norms}
    hooks = [norm.register_forward_pre_hook(moments[norm].add_input) for norm in norms]
    net.eval()
    try:
        for done, tile in enumerate(tiles, start=1):
            with torch.no_grad():  # not around the yield: the mode must not leak into whoever pulls
                net(tile)
            yield done
    finally:
        for hook in hooks:
            hook.remove()
    for norm in norms:
        norm.running_mean, norm.running_var = moments[norm].mean_and_variance()


def thaw_statistics(net: nn.Module) -> None:
    """Forget frozen statistics: the network normalises by each batch again."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean = module.running_var = None


class _Moments:
    """Sums over all that a normalisation has seen, in double precision."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: Tensor | None = None  # (2, C): of values, of squares
        self._like: Tensor = torch.empty(0)

    def add_input(self, _norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features = inputs[0].float()
        axes = (0, 2, 3, 4)
        self._like = features
        # Variance around the batch's own mean first: squares of float32 values far from 0 would lose all digits.
        variance, mean = torch.var_mean(features, dim=axes, correction=0)
        count = features.numel() // features.shape[1]
        mean, variance = mean.double().cpu(), variance.double().cpu()
        sums = torch.stack([mean, variance + mean.square()]) * count
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += count

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            raise ValueError("no tile was given to take the statistics from")
        mean, mean_square = self._sums / self._count
        variance = (mean_square - mean.square()).clamp(min=0)
        return mean.to(self._like), variance.to(self._like)
