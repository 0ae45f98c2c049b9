import pytest

from napari_weak3d.errors import ConfigError
from napari_weak3d.methods.boxes.config import BoxesConfig, BoxLoss


def test_the_default_preset_is_what_the_fields_say():
    assert BoxesConfig.from_settings({"preset": "default"}) == BoxesConfig()


def test_the_papers_preset_has_its_matching_and_its_loss():
    paper = BoxesConfig.from_settings({"preset": "paper"})
    assert (paper.positive_iou, paper.ignored_iou, paper.least_anchors) == (0.4, 0.4, 1)
    assert paper.box_loss is BoxLoss.PAPER


def test_what_is_said_wins_over_the_preset_and_is_checked():
    assert BoxesConfig.from_settings({"preset": "paper", "box_loss": "balanced"}).box_loss is BoxLoss.BALANCED
    with pytest.raises(ConfigError, match="roi_size"):
        BoxesConfig.from_settings({"preset": "paper", "roi_sise": 3})


def test_a_preset_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"preset = 'papers'.*'default' or 'paper'"):
        BoxesConfig.from_settings({"preset": "papers"})


def test_a_stored_config_comes_back_as_it_was():
    changed = BoxesConfig.from_settings({"preset": "paper", "stem": 4})
    assert BoxesConfig(**changed.model_dump(mode="json")) == changed
