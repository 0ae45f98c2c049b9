"""Held-out slices are predicted as they will be in use: with real planes around them."""

import numpy as np
import pytest
from scipy import ndimage

from napari_weak3d.methods.slices import scoring
from napari_weak3d.nn.paper_unet import MARGIN
from napari_weak3d.samples import paint_slices
from napari_weak3d.types import Sample, Volume

pytestmark = pytest.mark.slow


class Averager:
    """Stands in for an unpadded network: averages 2 * MARGIN + 1 planes, mirrored where what it is given ends."""

    def n_outputs(self):
        return 2

    def predict(self, view, *, out):
        image = view[:, 0 : view.shape[1], slice(None), slice(None)][0]
        mean = ndimage.uniform_filter1d(image, 2 * MARGIN + 1, axis=0, mode="mirror")
        out[0] = 1 / (1 + np.exp(-mean))
        out[1] = 1 - out[0]
        yield 1, 1


@pytest.mark.parametrize(("late_after", "scored"), [(0, 1), (1, 2), (9, 3)])
def test_scoring_ends_early_where_time_runs_out_but_not_without_a_score(late_after, scored, make_learner):
    learner = make_learner(members=3)
    for step in range(6):
        learner.step(0.59 * step / 6)
    asked = []
    told = set(scoring.calibrate(learner, is_late=lambda: asked.append(0) or len(asked) > late_after))
    assert told == {(done, 3) for done in range(scored)}
    assert learner.calibration.held_out_iou is not None


def test_the_unpadded_network_sees_the_planes_beyond_the_window(make_learner, finish, monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (1, 150, 12, 12)).cumsum(axis=1).astype(np.float32)
    truth = (image[0] > 0).astype(np.int32)
    learner = make_learner(
        samples=[Sample(Volume(image), paint_slices(truth, slices_per_axis=(3, 0, 0)))], network="paper"
    )
    monkeypatch.setattr(learner, "ensemble", lambda nets: Averager())
    whole = np.empty((2, 150, 12, 12), np.float32)
    list(Averager().predict(learner.views[0], out=whole))
    for plane in learner.targets[0].complete:
        found = finish(scoring._predict_held_out(learner, 0, sample=0, plane=plane, state=(0, 1)))[1].held_out
        np.testing.assert_allclose(found.log_probabilities, np.log(whole[:, plane] + 1e-6), rtol=1e-4)
        lo = max(0, plane - 24)
        np.testing.assert_array_equal(found.dense, whole[:, lo : plane + 25].argmax(0))
