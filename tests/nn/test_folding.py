"""Networks that are made ready to predict compute what they did before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_weak3d.nn.folding import fold_norms, mirror_kernels
from napari_weak3d.nn.paper_unet import PaperUNet, freeze_statistics
from napari_weak3d.nn.unet import PlanarUNet
from napari_weak3d.nn.unet3d import UNet3D


def make_planar() -> PlanarUNet:
    return PlanarUNet(3, 2, width=4, levels=3)


def make_anisotropic() -> PlanarUNet:
    return PlanarUNet(3, 2, spacing_yx=(3.0, 1.0), width=4, levels=3)


def make_solid() -> UNet3D:
    return UNet3D(3, 2, width=4, levels=3)


def make_stemmed() -> UNet3D:
    return UNet3D(3, 2, spacing=(2.0, 1.0, 1.0), width=4, levels=2, stem=(1, 2, 2))


even_nets = [make_planar, make_anisotropic, make_solid]


def with_statistics(net: nn.Module) -> nn.Module:
    """Give norms weights and statistics that are not 1 and 0."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor, low in (
                (module.weight.data, 0.5),
                (module.bias.data, -0.5),
                (module.running_mean, -0.5),
                (module.running_var, 0.5),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + low)
    return net.eval()


@pytest.mark.parametrize("make", [*even_nets, make_stemmed])
def test_folded_network_computes_the_same_without_norms(make):
    torch.manual_seed(0)
    net = with_statistics(make())
    image = torch.randn(2, 3, 8, 16, 32)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        expected = net(image)
        folded = fold_norms(net)
        found = folded(image)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in folded.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("make", even_nets)
@pytest.mark.parametrize("axes", [[], [-1], [-2], [-2, -1]])
def test_mirrored_kernels_see_the_image_as_if_it_were_mirrored(make, axes):
    torch.manual_seed(0)
    net = with_statistics(make())
    image = torch.randn(1, 3, 8, 16, 32)
    with torch.no_grad():
        expected = net(image.flip(axes)).flip(axes)
        found = mirror_kernels(net, axes)(image)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if axes:
        with torch.no_grad():
            assert (net(image) - expected).abs().max() > 0.01


@pytest.mark.slow
def test_mirrored_kernels_of_the_paper_s_network_freeze_the_mirrored_statistics():
    torch.manual_seed(0)
    net = PaperUNet(1, 2, width=2)
    mirrored = mirror_kernels(net, [-1])
    image = torch.randn(1, 1, 92, 92, 100)
    freeze_statistics(net, [image.flip(-1)])
    freeze_statistics(mirrored, [image])
    with torch.no_grad():
        torch.testing.assert_close(mirrored(image), net(image.flip(-1)).flip(-1), atol=1e-4, rtol=1e-4)
