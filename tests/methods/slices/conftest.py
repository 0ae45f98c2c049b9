"""A tiny slices model, trained once, and learners to play with."""

import pytest
import torch

from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.learner import Learner
from napari_weak3d.methods.slices.model import SlicesModel
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.methods.slices.targets import order_classes
from napari_weak3d.nn.device import Precision
from napari_weak3d.nn.member import Compute
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import Sample


@pytest.fixture(scope="session")
def paint(cells, truth):
    """The cells with so many complete slices along z, y and x."""

    def make(per_axis, paint="classes"):
        return Sample(cells, paint_slices(truth, slices_per_axis=per_axis, paint=paint))

    return make


@pytest.fixture(scope="session")
def sample(paint):
    """Three complete z slices of cells and background."""
    return paint((3, 0, 0))


@pytest.fixture(scope="session")
def object_sample(paint):
    """Three complete z slices of object ids."""
    return paint((3, 0, 0), "objects")


@pytest.fixture(scope="session")
def fit(tiny, sample):
    """Start a training; the sample and settings may be others."""

    def begin(folder, *, samples=None, start=None, **changed):
        config = SlicesConfig.from_settings({**tiny, **changed})
        return SlicesModel.fit(samples or [sample], config=config, folder=folder, start=start)

    return begin


@pytest.fixture(scope="session")
def trained(fit, finish, tmp_path_factory):
    """The folder of a trained model; not to be changed."""
    folder = tmp_path_factory.mktemp("slices") / "model"
    finish(fit(folder))
    return folder


@pytest.fixture
def make_learner(tiny, sample):
    """Learners without a loop around them; what they save is only counted."""

    def make(*, samples=None, stack_axis=0, **changed):
        chosen = tuple(samples or [sample])
        annotation = chosen[0].annotation
        scheme = Scheme(
            paint=annotation.paint,
            classes=order_classes(annotation.classes),
            stack_axis=stack_axis,
            channels=1,
            spacing=chosen[0].volume.spacing,
            unit="um",
        )
        config = SlicesConfig.from_settings({**tiny, **changed})
        compute = Compute(torch.device("cpu"), Precision(torch.float32, channels_last=False))
        return Learner(chosen, scheme, config, compute, save_to=lambda learner: None)

    return make
