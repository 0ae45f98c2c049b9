"""The real child process, with an engine that fails after its first step; run as a script by tests."""

import sys

from napari_weak3d.methods.slices.model import SlicesModel
from napari_weak3d.types import Progress
from napari_weak3d.worker import __main__ as child
from napari_weak3d.worker import machine


def fit(samples, *, config, folder, start=None):
    """Fail as torch does."""
    yield Progress(0, 10, "beginning")
    raise RuntimeError("the shapes differ")


if __name__ == "__main__":
    SlicesModel.fit = staticmethod(fit)
    machine.warm_up = lambda: None
    child.main(sys.argv[1])
