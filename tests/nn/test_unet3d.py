import pytest
import torch

from napari_weak3d.nn.unet3d import UNet3D, plan_levels


def test_isotropic_voxels_are_mixed_and_pooled_along_every_axis():
    assert [tuple(level) for level in plan_levels((1, 1, 1), levels=2)] == [((3, 3, 3), (2, 2, 2))] * 2


def test_along_long_voxels_nothing_is_mixed_or_pooled_until_the_others_are_as_long():
    plan = plan_levels((4, 1, 1), levels=4)
    assert [level.kernel for level in plan] == [(1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)]
    assert [level.stride for level in plan] == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]


@pytest.mark.parametrize("spacing", [(1, 1, 1), (4, 1, 1), (0.5, 1, 1)])
def test_logits_have_the_shape_of_the_image(spacing):
    net = UNet3D(2, 3, spacing=spacing, width=4, levels=3)
    z, y, x = net.multiple
    assert net(torch.zeros(2, 2, 2 * z, 3 * y, 2 * x)).shape == (2, 3, 2 * z, 3 * y, 2 * x)


def test_with_frozen_statistics_what_is_far_away_changes_nothing():
    torch.manual_seed(0)
    net = UNet3D(1, 1, width=4, levels=2).eval()
    image = torch.randn(1, 1, 8, 8, 64)
    changed = image.clone()
    changed[..., 48:] = 5
    with torch.no_grad():
        assert torch.equal(net(image)[..., :24], net(changed)[..., :24])
        assert not torch.equal(net(image), net(changed))


def test_every_weight_gets_a_gradient():
    net = UNet3D(1, 2, spacing=(3.5, 1, 1), width=4, levels=3)
    net(torch.randn(1, 1, 4, 16, 16)).square().mean().backward()
    assert all(weight.grad is not None for weight in net.parameters())


@pytest.mark.parametrize("stem", [(2, 2, 2), (1, 2, 2), (2, 1, 1)])
def test_a_stem_halves_the_resolution_within_and_logits_still_have_the_shape_of_the_image(stem):
    spacing = tuple(1 / step for step in stem)  # behind the stem all axes are alike, and pooled alike
    net = UNet3D(1, 2, spacing=spacing, width=4, levels=2, stem=stem)
    assert net.multiple == tuple(2 * step for step in stem)
    seen = []
    net.down[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[2:]))
    assert net(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 2, 8, 8, 8)
    assert seen == [tuple(8 // step for step in stem)]
