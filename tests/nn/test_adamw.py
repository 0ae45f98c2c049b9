"""Our AdamW is torch's to the bit, and does not import its compiler."""

import subprocess
import sys

import pytest
import torch

from napari_weak3d.nn.adamw import AdamW


def make(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))


def train(net, optimizer, steps, *, rate=None):
    for step in range(steps):
        optimizer.zero_grad()
        image = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
        net(image).square().sum().backward()
        if rate is not None:
            rate(0.1 / (step + 1))
        optimizer.step()


def weights(net):
    return torch.cat([each.detach().ravel() for each in net.parameters()])


def test_it_moves_weights_as_torch_does_to_the_bit():
    ours, theirs = make(), make()
    own = AdamW(ours.parameters(), learning_rate=0.1, weight_decay=0.01)
    reference = torch.optim.AdamW(theirs.parameters(), 0.1, weight_decay=0.01)
    train(ours, own, 20, rate=lambda rate: setattr(own, "learning_rate", rate))
    train(theirs, reference, 20, rate=lambda rate: reference.param_groups[0].update(lr=rate))
    assert torch.equal(weights(ours), weights(theirs))


def test_it_goes_on_from_a_state_as_if_never_stopped():
    straight, broken = make(), make()
    whole = AdamW(straight.parameters(), learning_rate=0.1, weight_decay=0.01)
    first = AdamW(broken.parameters(), learning_rate=0.1, weight_decay=0.01)
    train(straight, whole, 6)
    train(straight, whole, 4)
    train(broken, first, 6)
    second = AdamW(broken.parameters(), learning_rate=0.1, weight_decay=0.01)
    second.load_state(first.state())
    train(broken, second, 4)
    assert torch.equal(weights(straight), weights(broken))


def test_a_gradient_scaler_takes_it_for_an_optimizer():
    net, plain = make(), make()
    scaled = AdamW(net.parameters(), learning_rate=0.1, weight_decay=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(net(torch.ones(4, 5)).square().sum()).backward()
    scaler.unscale_(scaled)
    scaler.step(scaled)
    scaler.update()
    optimizer = AdamW(plain.parameters(), learning_rate=0.1, weight_decay=0.01)
    plain(torch.ones(4, 5)).square().sum().backward()
    optimizer.step()
    assert torch.equal(weights(net), weights(plain))


def test_parameters_without_gradient_stay():
    net = make()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    train(net, AdamW(net.parameters(), learning_rate=0.1, weight_decay=0.5), 3)
    assert torch.equal(net[0].weight, before)


@pytest.mark.parametrize(
    "changed", [{"9.step": torch.zeros(())}, {"0.exp_avg": torch.zeros(2)}, {"0.other": torch.zeros(2)}]
)
def test_a_state_of_another_network_is_refused(changed):
    net = make()
    optimizer = AdamW(net.parameters(), learning_rate=0.1, weight_decay=0.01)
    train(net, optimizer, 1)
    with pytest.raises(ValueError, match="does not fit"):
        optimizer.load_state({**optimizer.state(), **changed})


@pytest.mark.slow
def test_a_training_step_does_not_import_torchs_compiler():
    script = """
import sys, torch
from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute, Member
from napari_weak3d.nn.unet import PlanarUNet
compute = Compute(torch.device("cpu"), Precision(torch.float32, channels_last=False))
member = Member(PlanarUNet(1, 2, width=4, levels=2), compute=compute, learning_rate=0.1)
member.step(torch.zeros(1, 1, 1, 16, 16), lambda logits: logits.sum(), fraction=0)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
