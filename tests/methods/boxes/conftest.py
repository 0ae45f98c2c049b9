"""What tests of boxes share: random boxes, an overlap in plain words, a tiny model, and learners to play with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.learner import Learner
from napari_weak3d.methods.boxes.model import BoxesModel
from napari_weak3d.methods.boxes.starting import make_scheme
from napari_weak3d.methods.boxes.volumes import annotate
from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.samples import draw_boxes as box_objects
from napari_weak3d.types import Sample

CPU = Compute(torch.device("cpu"), Precision(torch.float32, channels_last=False))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _draw_boxes(rng, *, count, extent=30.0, largest=12.0):
    low = rng.uniform(0, extent, (count, 3))
    return torch.from_numpy(np.stack([low, low + rng.uniform(1, largest, (count, 3))], axis=1)).float()


@pytest.fixture
def draw_boxes():
    return _draw_boxes


def _slow_iou(box, other):
    """Of two boxes, [low, high] each, one axis after the other."""
    common, volume, other_volume = 1.0, 1.0, 1.0
    for axis in range(3):
        low = max(box[0][axis], other[0][axis])
        high = min(box[1][axis], other[1][axis])
        common *= max(high - low, 0.0)
        volume *= box[1][axis] - box[0][axis]
        other_volume *= other[1][axis] - other[0][axis]
    return common / (volume + other_volume - common)


@pytest.fixture
def slow_iou():
    return _slow_iou


@pytest.fixture(scope="session")
def sample(cells, truth):
    """Three boxed cells, two of them with masks."""
    return Sample(cells, box_objects(truth, rng=np.random.default_rng(0), fraction=0.67))


@pytest.fixture(scope="session")
def config(tiny):
    known = {name: value for name, value in tiny.items() if name in BoxesConfig.model_fields}

    def make(**changed):
        return BoxesConfig.from_settings({**known, **changed})

    return make


@pytest.fixture(scope="session")
def trained(config, sample, finish, tmp_path_factory):
    """The folder of a model."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    finish(BoxesModel.fit([sample], config=config(), folder=folder))
    return folder


@pytest.fixture
def make_learner(config, sample):
    def make(samples=None, **changed):
        samples = tuple(samples or [sample])
        settings = config(**changed)
        scheme = make_scheme(samples, config=settings, start=None)
        annotated = [annotate(each, view_volume(each.volume), classes=scheme.classes) for each in samples]
        return Learner(samples, scheme, settings, CPU, save_to=lambda learner: None, annotated=annotated)

    return make


@pytest.fixture
def learner(make_learner):
    """A learner of the sample, ready for its first step."""
    made = make_learner()
    made.learn(without_held_out=False)
    return made
