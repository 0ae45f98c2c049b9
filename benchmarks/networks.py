"""Our default network and those of others, of the same width and depth; their packages are imported when asked for."""

from __future__ import annotations

from importlib.util import find_spec

from torch import nn

from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.ensemble import build_net
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.nn.slabs import choose_offsets
from napari_weak3d.types import PaintClass

OURS = "napari-weak3d"
PACKAGES = {
    OURS: "napari_weak3d",
    "MONAI DynUNet": "monai",
    "nnU-Net PlainConvUNet": "dynamic_network_architectures",
    "pytorch-3dunet UNet3D": "pytorch3dunet",
}
"""Network -> the package that it comes in."""

CLASSES = 2


def missing_networks() -> list[str]:
    """Name the networks whose package is not installed."""
    return [name for name, package in PACKAGES.items() if find_spec(package) is None]


def make_network(name: str, *, width: int, levels: int) -> tuple[nn.Module, int]:
    """Make a network for one image channel and two classes, and say how many channels it takes.

    Parameters
    ----------
    name
        One of ``PACKAGES``.
    width, levels
        Channels of the first level, doubled from level to level up to eight times; resolution steps.
    """
    widths = [min(width * 2**level, 8 * width) for level in range(levels)]
    if name == OURS:
        return _make_ours(width=width, levels=levels)
    makers = {
        "MONAI DynUNet": _make_dynunet,
        "nnU-Net PlainConvUNet": _make_plain_conv_unet,
        "pytorch-3dunet UNet3D": _make_unet3d,
    }
    return makers[name](widths), 1


def our_scheme() -> Scheme:
    """The frame of a model of one image channel, cubic voxels, and two painted classes."""
    classes = (PaintClass(1, "background", background=True), PaintClass(2, "object"))
    return Scheme("classes", classes, stack_axis=0, channels=1, spacing=(1.0, 1.0, 1.0), unit="um")


def _make_ours(*, width: int, levels: int) -> tuple[nn.Module, int]:
    scheme = our_scheme()
    # As ensemble.view_volume gives it: two images per channel, each as a slab.
    channels = 2 * scheme.channels * len(choose_offsets(scheme.stacked(scheme.spacing)))
    return build_net(scheme, SlicesConfig(width=width, levels=levels)), channels


def _make_dynunet(widths: list[int]) -> nn.Module:
    from monai.networks.nets import DynUNet  # noqa: PLC0415

    n = len(widths)
    return DynUNet(
        3,
        1,
        CLASSES,
        kernel_size=[3] * n,
        strides=[1] + [2] * (n - 1),
        upsample_kernel_size=[2] * (n - 1),
        filters=widths,
    )


def _make_plain_conv_unet(widths: list[int]) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet  # noqa: PLC0415

    n = len(widths)
    # What nnU-Net's plans say beside sizes: bias, affine instance norm, leaky ReLU, two convolutions each.
    return PlainConvUNet(
        1,
        n,
        widths,
        nn.Conv3d,
        3,
        [1] + [2] * (n - 1),
        2,
        CLASSES,
        2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


def _make_unet3d(widths: list[int]) -> nn.Module:
    from pytorch3dunet.unet3d.model import UNet3D  # noqa: PLC0415

    return UNet3D(1, CLASSES, final_sigmoid=False, f_maps=widths, num_levels=len(widths))
