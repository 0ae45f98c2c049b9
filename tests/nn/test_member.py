"""A network in training: it learns, it averages, and it goes on from what it saved, to the bit."""

import copy

import pytest
import torch

from napari_weak3d.errors import Weak3DError
from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute, Member, _norms
from napari_weak3d.nn.unet import PlanarUNet

COMPUTE = Compute(torch.device("cpu"), Precision(torch.float32, channels_last=False))


def make(seed=0, learning_rate=1e-2):
    torch.manual_seed(seed)
    return Member(PlanarUNet(1, 2, width=4, levels=2), compute=COMPUTE, learning_rate=learning_rate)


@pytest.fixture
def image():
    return torch.randn(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def bright_or_dark(image):
    """A loss of telling bright pixels from dark ones."""
    return lambda logits: torch.nn.functional.cross_entropy(logits, (image[:, 0] > 0).long())


def train(member, image, steps):
    return [member.step(image, bright_or_dark(image), fraction=step / 40) for step in steps]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_loss_falls(image):
    losses = train(make(), image, range(40))
    assert losses[-1] < 0.7 * losses[0]


def test_the_averaged_network_predicts_in_evaluation_mode_without_gradients(image):
    member = make()
    train(member, image, range(3))
    assert not member.averaged.training
    assert not any(weight.requires_grad for weight in member.averaged.parameters())
    assert not member.averaged(image).requires_grad


def test_averaged_weights_lie_between_where_it_began_and_where_it_is(image):
    member = make()
    before = member.net.head.bias.detach().clone()
    train(member, image, range(1))
    after, mean = member.net.head.bias.detach(), member.averaged.head.bias
    share = 1 / 11  # decay of the first step
    assert torch.allclose(mean, share * before + (1 - share) * after)


def test_the_learning_rate_falls_to_nearly_nothing_at_the_end(image):
    moved = []
    for fraction in (0.0, 1.0):
        member = make()
        before = member.net.head.weight.detach().clone()
        member.step(image, bright_or_dark(image), fraction=fraction)
        moved.append((member.net.head.weight.detach() - before).abs().max())
    assert 0 < moved[1] < moved[0] / 100


def test_going_on_from_a_saved_state_is_as_if_never_stopped(image):
    straight, first = make(), make()
    train(straight, image, range(10))
    train(first, image, range(6))
    second = make(seed=9)
    second.load_state({name: value.clone() for name, value in first.state().items()})
    assert second.steps == 6
    train(second, image, range(6, 10))
    assert_same(second.state(), straight.state())


def test_a_warm_start_begins_with_the_averaged_weights_and_no_steps(image):
    trained, fresh = make(), make(seed=5)
    train(trained, image, range(5))
    fresh.start_from(trained.averaged.state_dict())
    assert fresh.steps == 0
    assert_same(dict(fresh.net.state_dict()), dict(trained.averaged.state_dict()))
    assert_same(dict(fresh.averaged.state_dict()), dict(trained.averaged.state_dict()))
    fresh.step(image, bright_or_dark(image), fraction=0)
    assert not torch.equal(fresh.net.head.weight, trained.averaged.head.weight)


def test_a_snapshot_has_the_statistics_of_the_last_batches_and_changes_nothing(image):
    member = make()
    train(member, image, range(3))
    before = {name: value.clone() for name, value in member.averaged.state_dict().items()}

    net = member.snapshot()

    assert_same(member.averaged.state_dict(), before)
    # The first convolution sees the batch itself: its normalisation's mean is that of its output.
    first = net.down[0]
    seen = first.conv1(image[:, :, 0])
    torch.testing.assert_close(first.norm1.running_mean, seen.mean((0, 2, 3)))
    assert not any(module.training for module in net.modules())


def test_later_a_snapshot_is_the_averaged_network(image, monkeypatch):
    monkeypatch.setattr("napari_weak3d.nn.member._YOUNG_STEPS", 3)
    member = make()
    train(member, image, range(3))
    assert_same(member.snapshot().state_dict(), member.averaged.state_dict())
    assert not any(module.training for module in member.snapshot().modules())


def test_forgotten_batches_are_not_run_again(image):
    member = make()
    train(member, image, range(3))
    member.forget_batches()
    assert_same(member.snapshot().state_dict(), member.averaged.state_dict())


def test_a_snapshot_before_the_first_step_is_the_network_as_it_is(image):
    member = make()
    assert_same(member.snapshot().state_dict(), member.averaged.state_dict())


@pytest.mark.parametrize("way", ["resumed", "warm"])
def test_a_network_that_goes_on_is_shown_as_it_was_stored_until_it_has_seen_as_many_batches(way, image):
    first, second = make(), make(seed=9)
    train(first, image, range(6))
    stored = first.snapshot().state_dict()
    if way == "warm":
        second.start_from(stored)
    else:
        second.load_state(first.state(), stored=stored)
        assert not torch.equal(second.averaged.down[0].norm1.running_mean, stored["down.0.norm1.running_mean"])
    assert_same(second.snapshot().state_dict(), stored)

    for seen in range(1, 5):
        train(second, image + 3, range(1))
        mean = second.snapshot().down[0].norm1.running_mean
        assert torch.equal(mean, stored["down.0.norm1.running_mean"]) is (seen < 4)


def test_statistics_of_a_network_that_never_learned_are_not_shown(image):
    member = make()
    member.start_from(make(seed=9).averaged.state_dict())
    train(member, image, range(1))
    assert member.snapshot().down[0].norm1.running_mean.any()


@pytest.mark.parametrize("is_short", [True, False])
def test_a_short_training_ends_as_it_predicts(is_short, image, monkeypatch):
    monkeypatch.setattr("napari_weak3d.nn.member._SHORT_STEPS", 60 if is_short else 30)
    member = Member(make().net, compute=COMPUTE, learning_rate=1e-2, freezes_norms_if_short=True)
    train(member, image, range(16))
    assert all(norm.training for norm in _norms(member.net))
    train(member, image, range(16, 18))
    assert member.net.training
    assert any(norm.training for norm in _norms(member.net)) is not is_short
    if is_short:
        predicting = copy.deepcopy(member.net).eval()
        loss = bright_or_dark(image)
        assert member.step(image, loss, fraction=0.9) == loss(predicting(image)).item()


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf")])
def test_a_batch_that_is_not_finite_teaches_nothing(image, spoiled):
    member = make()
    train(member, image, range(3))
    before = {name: value.clone() for name, value in member.state().items()}
    bad = image.clone()
    bad[0, 0, 0, 3, 4] = spoiled

    loss = member.step(bad, bright_or_dark(image), fraction=0.1)

    assert not torch.tensor(loss).isfinite()
    after = member.state()
    assert all(value.isfinite().all() for value in after.values())
    for name, value in before.items():
        if "running" not in name and "num_batches" not in name and name != "steps":
            assert torch.equal(after[name], value), name
    assert after["steps"] == 4  # the next batch is another one
    losses = train(member, image, range(4, 40))
    assert losses[-1] < 0.7 * losses[0]
    assert all(value.isfinite().all() for value in member.snapshot().state_dict().values())


def test_a_training_that_went_astray_is_ended_with_advice(image):
    member = make()
    bad = torch.full_like(image, float("nan"))
    with pytest.raises(Weak3DError, match=r"lower\s+learning_rate, which is 0.01"):
        train(member, bad, range(40))
    assert all(value.isfinite().all() for value in member.averaged.state_dict().values())
