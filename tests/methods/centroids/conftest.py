"""A tiny centroids model, trained once, and learners to play with."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.centroids.config import CentroidsConfig
from napari_weak3d.methods.centroids.learner import Learner, annotate_all
from napari_weak3d.methods.centroids.model import CentroidsModel
from napari_weak3d.methods.centroids.starting import make_scheme
from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute
from napari_weak3d.samples import click_centroids
from napari_weak3d.types import Sample


@pytest.fixture(scope="session")
def sample(cells, truth):
    """Three cells, clicked in their middles."""
    return Sample(cells, click_centroids(truth, rng=np.random.default_rng(0)))


@pytest.fixture(scope="session")
def config(tiny):
    known = {name: value for name, value in tiny.items() if name in CentroidsConfig.model_fields}

    def make(**changed):
        return CentroidsConfig.from_settings({**known, **changed})

    return make


@pytest.fixture(scope="session")
def trained(config, sample, finish, tmp_path_factory):
    """The folder of a model."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    finish(CentroidsModel.fit([sample], config=config(), folder=folder))
    return folder


@pytest.fixture
def make_learner(config, sample):
    def make(samples=None, **changed):
        samples = tuple(samples or [sample])
        settings = config(**changed)
        annotated = annotate_all(samples, config=settings)
        return Learner(
            samples,
            make_scheme(samples, annotated, start=None),
            settings,
            Compute(torch.device("cpu"), Precision(torch.float32, channels_last=False)),
            save_to=lambda learner: None,
            annotated=annotated,
        )

    return make
