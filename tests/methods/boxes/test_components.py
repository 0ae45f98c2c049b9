"""Objects from maps of every voxel."""

import numpy as np
import pytest

from napari_weak3d.methods.boxes.components import Rule, box_components, grow_components, list_rules


@pytest.fixture
def maps():
    """Two objects that touch by their boundaries, one faint inside, and a speck."""
    inside, foreground = np.zeros((2, 3, 9, 20), np.float32)
    foreground[:, 1:8, 1:17] = 0.9
    inside[:, 2:7, 2:8] = 0.9
    inside[:, 2:7, 10:16] = 0.6
    inside[1, 8, 19] = foreground[1, 8, 19] = 0.95
    return np.stack([inside, foreground])


def test_components_grow_back_to_the_foreground_and_meet_between(maps):
    labels = grow_components(maps, Rule(0.5, 0.1, typical_vox=100))
    assert labels.max() == 2
    assert set(np.unique(labels[maps[1] > 0.5])) <= {0, 1, 2}
    assert (labels[:, 1:8, 1:8] == 1).all()
    assert (labels[:, 1:8, 10:17] == 2).all()
    assert labels[1, 8, 19] == 0, "a speck"


def test_a_rule_says_what_is_inside_and_what_is_a_speck(maps):
    assert grow_components(maps, Rule(0.7, 0.1, typical_vox=100)).max() == 1
    assert grow_components(maps, Rule(0.5, 0.0, typical_vox=100)).max() == 3
    assert not grow_components(maps, Rule(0.99, 0.1, typical_vox=100)).any()


def test_boxes_are_tight_and_scores_are_how_sure_the_inside_is(maps):
    labels = grow_components(maps, Rule(0.5, 0.1, typical_vox=100))
    found = box_components(labels, maps[0], least=0.5)
    for row in range(2):
        where = np.argwhere(labels == row + 1)
        assert found.boxes[row].tolist() == [where.min(axis=0).tolist(), (where.max(axis=0) + 1).tolist()]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert len(box_components(np.zeros((2, 2, 2), np.int32), np.zeros((2, 2, 2), np.float32), least=0.5)) == 0


def test_rules_in_question_differ():
    rules = list(list_rules(50.0))
    assert len(set(rules)) == len(rules) > 1
