import pytest

from napari_weak3d.errors import ConfigError
from napari_weak3d.methods.boxes.config import BoxesConfig, BoxLoss, Preset


def test_the_default_preset_is_what_the_fields_say():
    assert BoxesConfig.from_preset(Preset.DEFAULT) == BoxesConfig()


def test_the_papers_preset_has_its_matching_and_its_loss():
    paper = BoxesConfig.from_preset(Preset.PAPER)
    assert (paper.positive_iou, paper.ignored_iou, paper.least_anchors) == (0.4, 0.4, 1)
    assert paper.box_loss is BoxLoss.PAPER


def test_a_preset_can_be_changed_and_is_checked():
    assert BoxesConfig.from_preset(Preset.PAPER, settings={"box_loss": "balanced"}).box_loss is BoxLoss.BALANCED
    with pytest.raises(ConfigError, match="roi_size"):
        BoxesConfig.from_preset(Preset.PAPER, settings={"roi_sise": 3})
