"""Networks made ready to predict: copies that compute the same with less work."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_weak3d.nn.unet import PlanarBlock
from napari_weak3d.nn.unet3d import Block

Net = TypeVar("Net", bound=nn.Module)

_Norm: TypeAlias = nn.BatchNorm2d | nn.BatchNorm3d
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def fold_norms(net: Net) -> Net:
    """Copy a U-Net with each batch norm folded into the weights of the convolution before it.

    The copy computes the same and goes through memory once less per convolution.

    Parameters
    ----------
    net
        A ``PlanarUNet`` or ``UNet3D`` in evaluation mode; not changed.
    """
    folded = copy.deepcopy(net)
    for module in list(folded.modules()):
        for convolution, norm in _neighbours(module):
            before, after = module.get_submodule(convolution), module.get_submodule(norm)
            assert isinstance(before, nn.Conv2d | nn.Conv3d)
            assert isinstance(after, _Norm)
            setattr(module, convolution, fuse_conv_bn_eval(before, after))
            setattr(module, norm, nn.Identity())
    return folded


def _neighbours(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Name the convolutions of a module, not of its modules, with the batch norm that follows each at once."""
    if isinstance(module, Block | PlanarBlock):
        yield from (("conv1", "norm1"), ("conv2", "norm2"))
    elif isinstance(module, nn.Sequential):
        named = list(module.named_children())
        for (before, convolution), (after, norm) in pairwise(named):
            if isinstance(convolution, nn.Conv2d | nn.Conv3d) and isinstance(norm, _Norm):
                yield before, after


def mirror_kernels(net: Net, axes: Sequence[int]) -> Net:
    """Copy a network that gives for an image what ``net`` gives for the mirrored image, mirrored back.

    True of networks without strides or padding on one side only: convolutions of odd kernels, pooling and
    up-convolutions of sizes that divide, and whatever works on each voxel.

    Parameters
    ----------
    net
        Convolutions over the last two or three axes; not changed.
    axes
        Which axes to mirror along, counted from the last, -1 is x; none: the copy computes what ``net`` does.
    """
    mirrored = copy.deepcopy(net)
    if axes:
        for module in mirrored.modules():
            if isinstance(module, _CONVOLUTIONS):
                with torch.no_grad():
                    module.weight.copy_(module.weight.flip(list(axes)))
    return mirrored
