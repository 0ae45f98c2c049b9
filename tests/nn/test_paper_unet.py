from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.paper_unet import (
    PaperUNet,
    count_paper_parameters,
    freeze_statistics,
    thaw_statistics,
    valid_input_shape,
    valid_output_shape,
)

TILE = (116, 132, 132)


def slim_unet() -> PaperUNet:
    torch.manual_seed(0)
    return PaperUNet(1, 2, width=2)


def test_the_network_has_the_papers_19069955_parameters():
    assert count_paper_parameters(PaperUNet()) == 19_069_955


@pytest.mark.slow
def test_the_papers_tile_gives_the_papers_output_without_computing():
    with torch.device("meta"):
        output = PaperUNet()(torch.empty(1, 3, *TILE))
    assert tuple(output.shape) == (1, 3, 28, 44, 44)
    assert valid_output_shape(TILE) == (28, 44, 44)
    assert valid_input_shape((28, 44, 44)) == TILE


@pytest.mark.parametrize("size", [92, 100, 108, 220])
def test_output_shapes_are_what_the_network_gives(size):
    with torch.device("meta"):
        output = slim_unet()(torch.empty(1, 1, size, size + 8, size + 16))
    assert tuple(output.shape[2:]) == valid_output_shape((size, size + 8, size + 16))


@pytest.mark.parametrize(("wanted", "size"), [(1, 92), (4, 92), (5, 100), (12, 100), (13, 108)])
def test_the_input_for_an_output_is_the_smallest_that_reaches_it(wanted, size):
    assert valid_input_shape((wanted,) * 3) == (size,) * 3


@pytest.mark.parametrize(("size", "fitting"), [(64, 92), (93, 100), (120, 124)])
def test_a_tile_that_does_not_fit_is_refused_with_the_size_that_does(size, fitting):
    with pytest.raises(ConfigError, match=f"tile y = {size} .* take {fitting}"):
        valid_output_shape((92, size, 92))


def test_normalisation_comes_before_every_relu_and_up_convolutions_have_no_bias():
    net = PaperUNet(width=2)
    for block in [*net.down, net.bottom, *net.up]:
        kinds = [type(layer) for layer in block]
        assert kinds == [nn.Conv3d, nn.BatchNorm3d, nn.ReLU] * 2
    assert all(layer.bias is None for layer in net.enlarge)


@pytest.mark.slow
def test_testing_uses_the_statistics_of_the_batch_as_training_does():
    net, tile = slim_unet(), torch.randn(1, 1, 92, 92, 92)
    with torch.no_grad():
        assert torch.equal(net.train()(tile), net.eval()(tile))


@pytest.mark.slow
def test_statistics_frozen_on_a_tile_change_nothing_for_that_tile():
    net, tile = slim_unet(), 3 + torch.randn(1, 1, 92, 92, 92)
    with torch.no_grad():
        expected = net(tile)
        freeze_statistics(net, [tile])
        assert torch.allclose(net(tile), expected, atol=1e-4)


def test_frozen_statistics_are_those_of_all_tiles_together():
    norm = nn.BatchNorm3d(2, track_running_stats=False, affine=False)
    tiles = [1000 + torch.randn(1, 2, 3, 4, 5), 1002 + 2 * torch.randn(2, 2, 5, 5, 5)]
    freeze_statistics(norm, tiles)
    voxels = torch.cat([tile.transpose(0, 1).flatten(1) for tile in tiles], dim=1).double()
    assert torch.allclose(norm.running_mean.double(), voxels.mean(1))
    assert torch.allclose(norm.running_var.double(), voxels.var(1, correction=0), rtol=1e-4)


@pytest.mark.slow
def test_frozen_statistics_make_a_tile_independent_of_its_batch_until_thawed():
    net = slim_unet()
    here, there = torch.randn(2, 1, 1, 92, 92, 92)
    freeze_statistics(net, [here])
    with torch.no_grad():
        frozen = net(torch.cat([here, 5 * there]))[:1]
        assert torch.allclose(frozen, net(here), atol=1e-5)
        thaw_statistics(net)
        assert not torch.allclose(net(torch.cat([here, 5 * there]))[:1], frozen, atol=1e-2)


def test_freezing_without_any_tile_is_refused():
    with pytest.raises(ValueError, match="no tile"):
        freeze_statistics(slim_unet(), [])
