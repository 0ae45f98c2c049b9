import numpy as np
import pytest

from napari_weak3d.errors import ConfigError
from napari_weak3d.methods.centroids.config import CentroidsConfig, Landscape, PseudoLabels
from napari_weak3d.methods.centroids.model import CentroidsModel


def test_the_default_preset_is_what_the_fields_say():
    assert CentroidsConfig.from_settings({"preset": "default"}) == CentroidsConfig()


def test_the_papers_preset_has_its_pseudo_labels_refinement_and_watershed():
    paper = CentroidsConfig.from_settings({"preset": "paper"})
    assert (paper.refinement_weight, paper.refinement_power, paper.refinement_sigma) == (1, 2, 3)
    assert (paper.pseudo_labels, paper.landscape) == (PseudoLabels.GUIDED, Landscape.INSIDE)
    assert (paper.learning_rate, paper.held_out, paper.use_clicks) == (5e-5, 0, False)


def test_what_is_said_wins_over_the_preset_and_is_checked():
    assert CentroidsConfig.from_settings({"preset": "paper", "landscape": "image"}).landscape is Landscape.IMAGE
    with pytest.raises(ConfigError, match=r"preset = 'papers'.*'default' or 'paper'"):
        CentroidsConfig.from_settings({"preset": "papers"})


def test_a_stored_config_comes_back_as_it_was():
    changed = CentroidsConfig.from_settings({"preset": "paper", "use_clicks": True})
    assert CentroidsConfig(**changed.model_dump(mode="json")) == changed


@pytest.mark.slow
def test_the_papers_preset_trains_one_patch_at_a_time_and_segments(tiny, sample, cells, finish, tmp_path):
    known = {name: tiny[name] for name in ("width", "levels", "patch", "steps", "device")}
    paper = CentroidsConfig.from_settings({**known, "preset": "paper"})
    model = finish(CentroidsModel.fit([sample], config=paper, folder=tmp_path / "model"))[1]
    prediction = finish(model.predict(cells))[1]
    assert prediction.labels.shape == cells.shape
    assert np.isfinite(prediction.uncertainty).all()
