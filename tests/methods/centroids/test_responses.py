"""Response maps against one full backward pass per peak, written plainly."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_weak3d.methods.centroids import blocks
from napari_weak3d.methods.centroids.blocks import iter_response_maps
from napari_weak3d.methods.centroids.responses import ResponseMap, response_maps, trace
from napari_weak3d.nn.unet import PlanarUNet
from napari_weak3d.nn.unet3d import UNet3D

SHAPE = (16, 24, 24)
PEAKS = np.array([[0, 0, 0], [15, 23, 23], [7, 12, 12], [8, 13, 11], [15, 2, 0], [3, 23, 9]])
TOLERANCE = 1e-5


class Joined(nn.Module):
    """A level of a U-Net: what comes back from below is put beside what went down."""

    def __init__(self, down: nn.Module, up: nn.Module) -> None:
        super().__init__()
        self.down = down
        self.up = up

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([self.up(self.down(image)), image], dim=1)


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, image: Tensor) -> Tensor:
        return image + 0.5 * self.branch(image)


class Grey(nn.Module):
    """Pads, crops, turns axes and shifts around a network: what wrappers of networks do."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        padded = F.pad(image, (2, 3, 1, 0, 0, 2), mode="replicate")
        turned = padded.transpose(2, 3).contiguous()
        return self.net(turned).permute(0, 1, 3, 2, 4)[..., :-2, 1:, 2:-3] + 1


def conv(channels_in: int, channels_out: int, kernel: tuple[int, int, int] = (3, 3, 3), **how: object) -> nn.Conv3d:
    return nn.Conv3d(channels_in, channels_out, kernel, padding=tuple(size // 2 for size in kernel), **how)


def make_nets() -> dict[str, nn.Module]:
    flat = (1, 3, 3)
    pooled = nn.Sequential(nn.MaxPool3d((1, 2, 2)), conv(6, 8, flat), nn.BatchNorm3d(8), nn.ReLU())
    overlapping = nn.Sequential(nn.MaxPool3d(3, 1), nn.ConstantPad3d(1, 0.0))
    return {
        "convolutions alone": nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 3), nn.LeakyReLU(0.1), conv(3, 1)),
        "dilated, grouped, same": nn.Sequential(
            nn.Conv3d(2, 4, 3, padding="same", dilation=2, groups=2), nn.ReLU(),
            nn.Conv3d(4, 1, (5, 1, 3), padding="same"),
        ),
        "strided down, linear up": nn.Sequential(
            conv(2, 4, stride=(1, 2, 2)), nn.BatchNorm3d(4), nn.LeakyReLU(0.2), conv(4, 4, stride=2), nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="trilinear"), conv(4, 3), nn.ReLU(),
            nn.Upsample(scale_factor=(1, 2, 2), mode="nearest"), conv(3, 1), nn.Sigmoid(),
        ),
        "max-pooled, up-convolved, joined": nn.Sequential(
            conv(2, 6), nn.BatchNorm3d(6), nn.ReLU(),
            Joined(pooled, nn.ConvTranspose3d(8, 6, (1, 2, 2), (1, 2, 2))),
            conv(12, 4), nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 1, 1),
        ),
        "overlapping windows up and down": nn.Sequential(
            conv(2, 4), nn.ReLU(), overlapping, conv(4, 4, stride=2), nn.ReLU(),
            nn.ConvTranspose3d(4, 3, (4, 3, 3), 2, padding=1, output_padding=(0, 1, 1)), nn.ReLU(), conv(3, 1),
        ),
        "average-pooled, aligned corners": nn.Sequential(
            conv(2, 4), nn.ReLU(),
            Joined(
                nn.Sequential(nn.AvgPool3d((2, 3, 3), (2, 2, 2), padding=(0, 1, 1)), conv(4, 4), nn.ELU()),
                nn.Upsample(size=SHAPE, mode="trilinear", align_corners=True),
            ),
            conv(8, 1),
        ),
        "residual": nn.Sequential(
            conv(2, 4), Residual(nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))), nn.ReLU(), conv(4, 1)
        ),
        "wrapped": Grey(nn.Sequential(conv(2, 4), nn.ReLU(), nn.Dropout3d(), conv(4, 1))),
        "UNet3D": UNet3D(2, 1, spacing=(2.0, 1.0, 1.0), width=4, levels=3),
        "UNet3D with a stem": UNet3D(2, 1, spacing=(1.5, 1.0, 1.0), width=4, levels=2, stem=(1, 2, 2)),
        "PlanarUNet": PlanarUNet(2, 1, width=4, levels=3),
    }  # fmt: skip


def make_ready(net: nn.Module) -> nn.Module:
    """In evaluation, with random norms."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.6, 0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    if isinstance(net, UNet3D | PlanarUNet):
        nn.init.uniform_(net.head.weight)  # else random networks are often silent
    return net.eval()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))


NAMES = list(make_nets())


@pytest.fixture(params=NAMES)
def net(request: pytest.FixtureRequest, image: Tensor) -> nn.Module:
    torch.manual_seed(NAMES.index(request.param))
    return make_ready(make_nets()[request.param])


class Backwards(torch.autograd.Function):
    """A function whose gradient is replaced: ``back`` makes it from the true gradient, or from what arrives."""

    @staticmethod
    def forward(ctx, array, made, back):
        ctx.back = back
        return made.detach().clone()

    @staticmethod
    def backward(ctx, arrived):
        return ctx.back(arrived), None, None


def transpose(function: Callable[[Tensor], Tensor], at: Tensor, arrived: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf, arrived)[0]


def guided(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def patched(array: Tensor, *rest: object, **others: object) -> Tensor:
        others.pop("inplace", None)

        def back(arrived: Tensor) -> Tensor:
            return transpose(lambda x: plain(x, *rest, **others), array, arrived.clamp(min=0))

        return Backwards.apply(array, plain(array, *rest, **others), back)

    return patched


def passing(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def patched(array: Tensor, *rest: object, **others: object) -> Tensor:
        others.pop("inplace", None)
        return Backwards.apply(array, plain(array, *rest, **others), lambda arrived: arrived)

    return patched


def sharing(plain: Callable[..., Tensor], *, seen: list[str], weighted: bool) -> Callable[..., Tensor]:
    """Contrastive-free excitation: a_j w+_ij / sum_j(a_j w+_ij) of what arrives at i goes to j."""

    def patched(array: Tensor, *rest: object, **others: object) -> Tensor:
        made = plain(array, *rest, **others)
        channelwise = tuple(axis for axis in range(array.ndim) if axis != 1)
        floor = 0 if seen else array.detach().amin(dim=channelwise, keepdim=True)
        seen.append(plain.__name__)
        activity = (array.detach() - floor).clamp(min=0)
        positive = (rest[0].clamp(min=0), None, *rest[2:]) if weighted else rest
        drive = plain(activity, *positive, **others).detach()

        def back(arrived: Tensor) -> Tensor:
            share = torch.where(drive > 0, arrived / drive, 0)
            return activity * transpose(lambda x: plain(x, *positive, **others), activity, share)

        return Backwards.apply(array, made, back)

    return patched


@pytest.fixture
def one_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """Make a map by one backward pass over the whole volume."""

    def run(net: nn.Module, image: Tensor, peaks: np.ndarray, *, rule: str) -> list[np.ndarray]:
        with monkeypatch.context() as patch:
            for name in ("relu", "leaky_relu", "elu"):
                patch.setattr(F, name, (guided if rule == "guided" else passing)(getattr(F, name)))
            if rule == "excitation":
                seen: list[str] = []
                patch.setattr(F, "batch_norm", passing(F.batch_norm))
                patch.setattr(torch, "sigmoid", passing(torch.sigmoid))
                for name in ("conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d"):
                    patch.setattr(F, name, sharing(getattr(F, name), seen=seen, weighted=True))
                for name in ("avg_pool3d", "interpolate"):
                    patch.setattr(F, name, sharing(getattr(F, name), seen=seen, weighted=False))
            leaf = image[None].clone().requires_grad_()
            made = net(leaf)[0, 0]
        return [
            torch.autograd.grad(made[tuple(peak)], leaf, retain_graph=True)[0][0].abs().sum(0).numpy() for peak in peaks
        ]

    return run


def whole(response: ResponseMap, shape: Sequence[int] = SHAPE) -> np.ndarray:
    values = np.zeros(shape, np.float32)
    values[tuple(slice(a, a + n) for a, n in zip(response.low, response.values.shape, strict=True))] = response.values
    return values


@pytest.mark.parametrize("rule", ["guided", "excitation"])
def test_maps_are_those_of_one_full_pass_per_peak(net, image, one_pass, rule):
    if rule == "excitation" and any(isinstance(module, Residual) for module in net.modules()):
        pytest.skip("a sum of arrays has a test of its own")
    maps = response_maps(net, image, PEAKS, rule=rule, batch=4)
    expected = one_pass(net, image, PEAKS, rule=rule)
    assert sum(want.max() > 0 for want in expected) > len(PEAKS) / 2
    for got, want in zip(maps, expected, strict=True):
        np.testing.assert_allclose(whole(got), want, rtol=0, atol=TOLERANCE * want.max())


def test_a_sum_shares_an_excitation_by_what_each_side_adds():
    net = nn.Sequential(
        nn.Conv3d(1, 1, 1, bias=False), Residual(nn.Conv3d(1, 1, (1, 1, 3), padding=(0, 0, 1), bias=False))
    )
    for module, weights in ((net[0], [1.0]), (net[1].branch, [2.0, 0.0, -4.0])):
        module.weight.data = torch.tensor(weights).reshape(module.weight.shape)
    image = torch.tensor([5.0, 8.0, 11.0, 5.0]).reshape(1, 1, 1, 4)  # above the darkest: 0, 3, 6, 0
    (response,) = response_maps(net, image, np.array([[0, 0, 2]]), rule="excitation")
    # At x = 2 the sum is 11 + 0.5 * (2 * 8 - 4 * 5): the branch adds nothing. At 1: 8 + 0.5 * (2 * 5 - 4 * 11).
    assert response.low == (0, 0, 2)
    assert response.values.ravel().tolist() == [1.0]


def test_a_step_edge_answers_with_the_weights_that_see_it():
    """Guided, one linear layer: the map is the kernel itself, mirrored nowhere, cut at the border."""
    net = nn.Conv3d(1, 1, (1, 3, 3), padding=(0, 1, 1), bias=False)
    net.weight.data = torch.arange(1.0, 10.0).reshape(1, 1, 1, 3, 3) * torch.tensor([1.0, -1.0, 1.0])
    (inside, corner) = response_maps(net, torch.zeros(1, 2, 5, 6), np.array([[1, 2, 3], [0, 0, 5]]), rule="guided")
    assert inside.low == (1, 1, 2)
    assert inside.values.tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
    assert corner.low == (0, 0, 4)
    assert corner.values.tolist() == [[[4, 5], [7, 8]]]


def test_sides_of_a_gradient_are_told_apart():
    net = nn.Conv3d(1, 1, (1, 1, 3), padding=(0, 0, 1), bias=False)
    net.weight.data = torch.tensor([-3.0, 4.0, -1.0]).reshape(1, 1, 1, 1, 3)
    image, peak = torch.zeros(1, 1, 1, 9), np.array([[0, 0, 5]])
    found = {
        side: response_maps(net, image, peak, rule="guided", side=side)[0] for side in ("both", "brighter", "darker")
    }
    assert {side: (response.low[2], response.values.ravel().tolist()) for side, response in found.items()} == {
        "both": (4, [3, 4, 1]),
        "brighter": (5, [4]),
        "darker": (4, [3, 0, 1]),
    }


@pytest.mark.parametrize("rule", ["guided", "excitation"])
def test_maps_do_not_depend_on_how_many_peaks_run_together(image, rule):
    torch.manual_seed(0)
    net = make_ready(UNet3D(2, 1, width=4, levels=3))
    together, apart = (response_maps(net, image, PEAKS, rule=rule, batch=batch) for batch in (8, 1))
    for one, other in zip(together, apart, strict=True):
        assert one.low == other.low
        np.testing.assert_allclose(one.values, other.values, atol=TOLERANCE * other.values.max())


def test_shares_of_an_excitation_sum_to_one(image):
    torch.manual_seed(0)
    net = make_ready(UNet3D(2, 1, width=4, levels=3))
    for response in response_maps(net, image, PEAKS, rule="excitation"):
        assert response.values.min() >= 0
        assert response.values.sum() == pytest.approx(1, abs=1e-4)


def test_a_silent_peak_has_a_map_of_one_voxel(image):
    net = nn.Sequential(nn.Conv3d(2, 1, 3, padding=1), nn.ReLU())
    net[0].weight.data.zero_()
    (response,) = response_maps(net, image, np.array([[3, 4, 5]]), rule="guided")
    assert response.low == (3, 4, 5)
    assert response.values.tolist() == [[[0.0]]]


def test_no_peaks_give_no_maps(image):
    assert response_maps(nn.Conv3d(2, 1, 1), image, np.empty((0, 3), np.int64), rule="guided") == []


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(2, 4), nn.InstanceNorm3d(4, affine=True), nn.BatchNorm3d(4, track_running_stats=False)]
)
def test_norms_that_measure_every_image_are_refused(image, norm):
    net = nn.Sequential(conv(2, 4), norm, nn.ReLU(), conv(4, 1)).eval()
    with pytest.raises(ValueError, match="gathered statistics"):
        response_maps(net, image, PEAKS, rule="guided")


def test_norms_in_training_are_refused(image):
    net = nn.Sequential(conv(2, 4), nn.BatchNorm3d(4), conv(4, 1)).train()
    with pytest.raises(ValueError, match=r"eval\(\)"):
        response_maps(net, image, PEAKS, rule="guided")


def test_a_function_without_a_way_back_is_named(image):
    class Odd(nn.Module):
        def forward(self, volume: Tensor) -> Tensor:
            return torch.cumsum(volume, dim=2)[:, :1]

    with pytest.raises(TypeError, match="cumsum"):
        response_maps(Odd(), image, PEAKS, rule="guided")


def test_a_peak_outside_is_named(image):
    with pytest.raises(ValueError, match=r"\[3, 24, 0\]"):
        response_maps(nn.Conv3d(2, 1, 1), image, np.array([[1, 1, 1], [3, 24, 0]]), rule="guided")


def test_neither_network_nor_image_is_changed(image):
    torch.manual_seed(0)
    net = nn.Sequential(conv(2, 4), nn.ReLU(inplace=True), conv(4, 1)).eval()
    before, kept = image.clone(), {name: each.clone() for name, each in net.state_dict().items()}
    response_maps(net, image, PEAKS, rule="excitation")
    assert torch.equal(image, before)
    assert all(torch.equal(each, kept[name]) for name, each in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_a_volume_that_fits_into_memory_runs_through_once(image, monkeypatch):
    passes = []
    net = conv(2, 1).eval()
    monkeypatch.setattr(blocks, "trace", lambda *given, **how: (passes.append(1), trace(*given, **how))[1])
    assert len(list(iter_response_maps(net, image.numpy(), PEAKS, rule="guided", multiple=(1, 1, 1)))) == len(PEAKS)
    assert len(passes) == 1


def test_where_memory_runs_out_crops_are_smaller_until_nothing_is_gained(monkeypatch):
    torch.manual_seed(0)
    image = torch.randn(2, 8, 240, 160)
    net = make_ready(nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 1)))
    peaks = np.array([[0, 0, 0], [4, 100, 80], [7, 239, 159]])
    most = 100_000

    def trace_little(net, crop, **options):
        if crop[0].numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return trace(net, crop, **options)

    monkeypatch.setattr(blocks, "trace", trace_little)
    made = dict(iter_response_maps(net, image.numpy(), peaks, rule="guided", multiple=(1, 1, 1)))
    for row, want in enumerate(response_maps(net, image, peaks, rule="guided")):
        got, expected = (whole(each, image.shape[1:]) for each in (made[row], want))
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * expected.max())
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        list(iter_response_maps(net, image.numpy(), peaks, rule="guided", multiple=(1, 1, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["guided", "excitation"])
def test_maps_of_a_large_volume_are_made_in_crops(rule):
    """Crops as small as they may be, of a volume that is larger than what the network sees."""
    torch.manual_seed(0)
    image = torch.randn(2, 8, 160, 120)
    net = make_ready(UNet3D(2, 1, spacing=(4.0, 1.0, 1.0), width=4, levels=3))
    peaks = np.stack([np.random.default_rng(0).integers(0, size, 12) for size in image.shape[1:]], axis=1)
    peaks[:2] = [[0, 0, 0], [7, 159, 119]]
    cropped = dict(
        iter_response_maps(net, image.numpy(), peaks, rule=rule, multiple=net.multiple, most_voxels=50_000, batch=3)
    )
    assert sorted(cropped) == list(range(len(peaks)))
    for row, want in enumerate(response_maps(net, image, peaks, rule=rule)):
        expected = whole(want, image.shape[1:])
        got = whole(cropped[row], image.shape[1:])
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * expected.max())
