"""Which projects were open last."""

import pytest

from napari_weak3d.app import recent

pytestmark = pytest.mark.window


def make(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "project.json").write_text("{}")
    return tmp_path / name


def test_the_last_ones_come_first_and_each_once(tmp_path):
    a, b = make(tmp_path, "a"), make(tmp_path, "b")
    recent.remember(a, closed=False)
    recent.remember(b, closed=False)
    recent.remember(b, closed=True)
    assert recent.recall() == (recent.Recent(str(b), True), recent.Recent(str(a), False))
    recent.remember(a, closed=True)
    assert [each.folder for each in recent.recall()] == [str(a), str(b)]


def test_one_that_is_gone_is_not_offered(tmp_path):
    a, b = make(tmp_path, "a"), make(tmp_path, "b")
    recent.remember(a, closed=True)
    recent.remember(b, closed=True)
    (a / "project.json").unlink()
    recent.forget(b)
    assert recent.recall() == ()


def test_a_damaged_list_is_an_empty_one(tmp_path):
    recent.home().mkdir()
    for text in ("", "[]", '{"projects": [1]}', '{"folder": "x", "closed": true}'):
        (recent.home() / "recent.json").write_text(text)
        assert recent.recall() == ()
