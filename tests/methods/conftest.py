"""What tests of methods share: a tiny volume of cells, settings to train in a moment, and how to pull a job."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_weak3d.nn import loop
from napari_weak3d.types import Volume

TINY = {"width": 4, "levels": 3, "members": 2, "patch": 32, "pixels": 2048, "steps": 6, "device": "cpu"}


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny networks are no faster on more, and results to the bit need the same number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _every_step_is_reported(monkeypatch):
    """However fast the machine: commands are taken with reports."""
    monkeypatch.setattr(loop, "_REPORT_S", 0)


@pytest.fixture(scope="session")
def truth():
    """(12, 48, 48): three upright cylinders, the first two touch."""
    y, x = np.ogrid[:48, :48]
    labels = np.zeros((12, 48, 48), np.int32)
    for number, centre_y, centre_x in [(1, 14, 12), (2, 14, 26), (3, 34, 30)]:
        labels[2:10, (y - centre_y) ** 2 + (x - centre_x) ** 2 < 49] = number
    return labels


@pytest.fixture(scope="session")
def cells(truth):
    """Their picture, bright on dark."""
    noise = np.random.default_rng(0).normal(0, 1, truth.shape)
    return Volume((noise + 3 * (truth > 0))[None].astype(np.float32), (2.0, 1.0, 1.0), "um", "cells")


@pytest.fixture(scope="session")
def tiny():
    """Settings as text and numbers, for ``from_settings``."""
    return dict(TINY)


def _finish(job, *commands):
    """Pull a job to its end, sending these commands first: all progress, and the result."""
    yielded = [next(job)]
    waiting = list(commands)
    try:
        while True:
            yielded.append(job.send(waiting.pop(0) if waiting else None))
    except StopIteration as end:
        return yielded, end.value


@pytest.fixture(scope="session")
def finish():
    return _finish
