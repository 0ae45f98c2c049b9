"""The planar network: shapes, strides, planes for themselves, and tiles without seams."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.tiles import plan_tiles, predict_volume
from napari_weak3d.nn.unet import PlanarUNet, plan_strides


@pytest.mark.parametrize(
    ("spacing", "strides"),
    [
        ((1, 1), [(2, 2), (2, 2), (2, 2)]),
        ((1, 1.4), [(2, 2), (2, 2), (2, 2)]),
        ((2, 1), [(1, 2), (2, 2), (2, 2)]),
        ((1, 4), [(2, 1), (2, 1), (2, 2)]),
        ((0.25, 100), [(2, 1), (2, 1), (2, 1)]),
    ],
)
def test_pooling_goes_along_the_finest_voxels_until_all_are_about_as_long(spacing, strides):
    assert plan_strides(spacing, levels=4) == strides


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_output_has_the_size_of_the_input_and_the_channels_asked_for(levels):
    net = PlanarUNet(3, 5, width=4, levels=levels)
    side = 2 ** (levels - 1)
    assert net.multiple == (1, side, side)
    assert net(torch.zeros(2, 3, 7, 2 * side, 3 * side)).shape == (2, 5, 7, 2 * side, 3 * side)


def test_sizes_need_be_multiples_along_pooled_axes_only():
    net = PlanarUNet(1, 2, width=4, levels=3, spacing_yx=(100, 1))
    assert net.multiple == (1, 1, 4)
    assert net(torch.zeros(1, 1, 1, 7, 8)).shape == (1, 2, 1, 7, 8)


def test_channels_double_up_to_eight_times_the_width():
    net = PlanarUNet(1, 2, width=4, levels=6)
    assert [block.conv1.out_channels for block in net.down] == [4, 8, 16, 32, 32, 32]


def test_planes_and_volumes_of_a_batch_do_not_know_each_other():
    torch.manual_seed(0)
    net = PlanarUNet(2, 3, width=4, levels=3).eval()
    image = torch.randn(2, 2, 5, 16, 16)
    with torch.no_grad():
        whole = net(image)
        one = net(image[1:, :, 3:4])
    assert torch.allclose(whole[1:, :, 3:4], one, atol=1e-5)


def test_the_layout_in_memory_does_not_change_the_result():
    torch.manual_seed(0)
    net = PlanarUNet(2, 3, width=4, levels=3).eval()
    image = torch.randn(1, 2, 3, 16, 16)
    with torch.no_grad():
        plain, last = net(image), net(image.contiguous(memory_format=torch.channels_last_3d))
    assert torch.allclose(plain, last, atol=1e-5)


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network that learned for a moment to find discs; of five levels, what it sees is wider than tiles overlap."""
    torch.manual_seed(0)
    image, labels = draw_discs(np.random.default_rng(0), side=64, planes=4)
    compute = Compute(torch.device("cpu"), Precision(torch.float32, False))
    member = Member(PlanarUNet(1, 2, width=4, levels=5), compute=compute, learning_rate=1e-2)
    for step in range(40):
        member.step(image, lambda logits: nn.functional.cross_entropy(logits, labels), fraction=step / 40)
    return member.averaged


def draw_discs(rng, *, side, planes):
    """Noisy bright discs: image (1, 1, Z, Y, X), classes (1, Z, Y, X)."""
    y, x = np.ogrid[:side, :side]
    labels = np.zeros((planes, side, side), np.int64)
    for plane in labels:
        for centre_y, centre_x, radius in rng.uniform((0, 0, 4), (side, side, 9), (side // 8, 3)):
            plane[(y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2] = 1
    image = labels * 2.0 - 1 + rng.normal(0, 1, labels.shape)
    return torch.from_numpy(image[None, None].astype(np.float32)), torch.from_numpy(labels[None])


def run_tiled(net, image, *, overlap):
    """Probabilities by tiles of 128 pixels, and between which lines of pixels a tile begins, ends, or fades."""
    planner = partial(plan_tiles, overlap=(0, overlap, overlap), multiple=net.multiple)
    out = np.empty((2, *image.shape[2:]), np.float32)
    steps = list(
        predict_volume(
            lambda tile: net(tile).softmax(1), image[0].numpy(), out=out, planner=planner, tile=(1, 128, 128)
        )
    )
    assert len(steps) > 1
    tiles = planner(out.shape[1:], tile=(1, 128, 128)).axes[2]
    ends = [(after.start, after.lo, before.hi, before.start + 128) for before, after in pairwise(tiles)]
    return out, {face for faces in ends for face in faces}


def worst_jump(tiled, whole, *, faces):
    """Mean jump across a face against that elsewhere, each relative to one pass: edges of the image are no seams."""
    ratios = []
    for axis in (1, 2):
        jumps, own = (np.abs(np.diff(image[1], axis=axis)).mean(axis=(0, 3 - axis)) for image in (tiled, whole))
        at_faces = np.isin(np.arange(1, len(jumps) + 1), list(faces))
        ratios.append((jumps / own)[at_faces].max() / (jumps / own)[~at_faces].mean())
    return max(ratios)


@pytest.mark.slow
def test_tiles_of_the_padded_network_leave_no_seam(trained):
    image, labels = draw_discs(np.random.default_rng(1), side=256, planes=2)
    with torch.no_grad():
        whole = trained(image)[0].softmax(0).numpy()
    assert (whole.argmax(0) == labels[0].numpy()).mean() > 0.9

    tiled, faces = run_tiled(trained, image, overlap=64)
    assert worst_jump(tiled, whole, faces=faces) <= 1.05
    assert (tiled.argmax(0) == whole.argmax(0)).mean() >= 0.995

    abutting, faces = run_tiled(trained, image, overlap=0)
    assert worst_jump(abutting, whole, faces=faces) > 1.5  # the measure sees a seam where there is one
