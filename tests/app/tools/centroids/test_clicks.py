"""What steps do to clicks; no window is needed."""

import numpy as np
import pytest

from napari_weak3d.app.tools.centroids import regions
from napari_weak3d.app.tools.centroids.clicks import (
    Clicks,
    clicks_of,
    distance_between,
    find_doubles,
    find_near,
    find_outside,
    find_outside_region,
    region_around,
    region_with,
)
from napari_weak3d.app.tools.centroids.wording import counter_line, obstacle_of
from napari_weak3d.io.project import CentroidsState

SHAPE = (6, 20, 30)


def points(*rows):
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def test_a_point_lies_in_the_voxel_that_is_nearest():
    there = points((-0.5, 0, 0), (5.49, 19.49, 29.49), (-0.51, 0, 0), (5.5, 0, 0), (0, 0, 30))
    assert find_outside(there, SHAPE) == [2, 3, 4]
    assert find_outside_region(there, ((0, 6), (0, 20), (0, 29))) == [1, 2, 3, 4]
    assert find_outside_region(there, None) == []


def test_of_points_on_one_voxel_the_first_stays():
    assert find_doubles(points((1, 2, 3), (4, 4, 4), (1.2, 2.4, 2.6), (1, 2, 3))) == [2, 3]
    assert find_doubles(points()) == []


def test_nearness_and_distances_go_by_the_spacing():
    spacing, rng = (4.0, 1.0, 0.5), np.random.default_rng(1)
    some, others = rng.uniform(0, 20, (12, 3)), rng.uniform(0, 20, (9, 3))
    slow = [min(np.linalg.norm((a - b) * spacing) for b in others) for a in some]
    np.testing.assert_array_equal(find_near(some, others, spacing=spacing, distance=9.0), np.array(slow) <= 9)
    n = range(len(some))
    apart = [min(np.linalg.norm((some[i] - some[j]) * spacing) for j in n if j != i) for i in n]
    assert distance_between(some, spacing=spacing) == pytest.approx(np.median(apart))
    assert distance_between(some[:1], spacing=spacing) is None
    assert not find_near(some, points(), spacing=spacing, distance=9.0).any()


def test_proposals_are_taken_and_dropped_by_their_number():
    clicks = Clicks(points((0, 0, 0))).propose(points((1, 1, 1), (2, 2, 2), (3, 3, 3)), np.array([0.2, 0.9, 0.5]))
    np.testing.assert_array_equal(clicks.proposed, points((2, 2, 2), (3, 3, 3), (1, 1, 1)))
    taken = clicks.accept([0])
    np.testing.assert_array_equal(taken.points, points((0, 0, 0), (2, 2, 2)))
    np.testing.assert_array_equal(taken.scores, [0.5, 0.2])
    dropped = taken.refuse([1])
    np.testing.assert_array_equal(dropped.refused, points((1, 1, 1)))
    np.testing.assert_array_equal(dropped.proposed, points((3, 3, 3)))
    assert not dropped.is_like(taken)


def test_what_the_project_keeps_comes_back():
    state = CentroidsState(((1.0, 2.0, 3.0),), refused_vox=((4.0, 5.0, 5.0),), region=((0, 1), (0, 2), (0, 3)))
    clicks = clicks_of(state)
    np.testing.assert_array_equal(clicks.points, points((1, 2, 3)))
    np.testing.assert_array_equal(clicks.refused, points((4, 5, 5)))
    assert clicks.region == state.region
    assert clicks_of(None).is_like(Clicks())


def test_box_around_clicks_is_wider_by_a_margin_of_the_spacing_and_inside_the_image():
    around = region_around(points((2, 5, 8), (3, 10, 9)), shape=SHAPE, spacing=(2.0, 1.0, 1.0), margin=2.0)
    assert around == ((1, 5), (3, 13), (6, 12))
    assert region_around(points(), shape=SHAPE, spacing=(1, 1, 1), margin=1) == regions.whole(SHAPE)
    assert region_with(points((5, 1, 29)), ((0, 2), (4, 6), (3, 9))) == ((0, 6), (1, 6), (3, 30))


def test_sides_of_the_box_push_each_other_and_stay_in_the_image():
    region = ((1, 3), (4, 9), (5, 20))
    assert regions.set_side(region, "start", (0, 4), shape=SHAPE) == ((4, 5), (4, 9), (5, 20))
    assert regions.set_side(region, "end", (1, 2), shape=SHAPE) == ((1, 3), (2, 3), (5, 20))
    assert regions.set_side(None, "end", (0, 2), shape=SHAPE) == ((0, 3), (0, 20), (0, 30))
    assert regions.set_plane(region, 0, ((-5, 8), (12, 99)), shape=SHAPE) == ((1, 3), (0, 8), (12, 30))
    assert regions.set_plane(None, 2, ((2, 3), (4, 5)), shape=SHAPE) == ((2, 3), (4, 5), (0, 30))
    in_sight = np.array([[0, 2.3, 4.0], [1, 9.7, 99]])
    assert regions.set_view(region, 0, in_sight, shape=SHAPE) == ((1, 3), (3, 9), (4, 30))


# ---- before a training


class Desk:
    """Holds clicks, and does what an answer says."""

    def __init__(self, clicks):
        self.clicks, self.names = clicks, []

    def obstacle(self):
        return obstacle_of(self.clicks, shape=SHAPE, act=self.act)

    def act(self, name, change):
        self.names.append(name)
        self.clicks = change(self.clicks)

    def answer(self, text):
        self.obstacle().answers[text]()


def test_nothing_clicked_says_what_to_do():
    obstacle = Desk(Clicks()).obstacle()
    assert obstacle.text.startswith("Nothing is clicked yet")
    assert not obstacle.answers


def test_one_click_is_asked_about():
    obstacle = Desk(Clicks(points((1, 1, 1)))).obstacle()
    assert "only one click in this image" in obstacle.text
    assert list(obstacle.answers) == ["Other images have clicks"], "on one click alone nothing can be learned"


def test_click_outside_the_image_is_named_and_can_be_removed():
    desk = Desk(Clicks(points((1, 1, 1), (2, 50, 3), (2, 2, 2))))
    assert desk.obstacle().text.startswith("Click 2 (z 2, y 50, x 3) lies outside the image, which is 6 x 20 x 30")
    desk.answer("Remove")
    np.testing.assert_array_equal(desk.clicks.points, points((1, 1, 1), (2, 2, 2)))
    assert desk.obstacle() is None


def test_two_clicks_on_one_voxel_are_named_and_one_is_kept():
    desk = Desk(Clicks(points((1, 1, 1), (2, 2, 2), (1.2, 1, 1))))
    assert desk.obstacle().text.startswith("Click 3 (z 1.2, y 1, x 1) lies on a voxel that another click has")
    desk.answer("Keep one")
    assert len(desk.clicks.points) == 2


@pytest.mark.parametrize(("answer", "n_left", "region"), [("Enlarge the box", 3, 12), ("Remove", 1, 5)])
def test_clicks_outside_the_box_are_named_and_settled(answer, n_left, region):
    desk = Desk(Clicks(points((1, 1, 1), (2, 9, 3), (1, 11, 4)), region=((0, 3), (0, 5), (0, 9))))
    assert desk.obstacle().text == (
        "2 clicks, the first of them number 2 (z 2, y 9, x 3), lie outside the box in which all cells are clicked "
        "(z 0 to 2, y 0 to 4, x 0 to 8)."
    )
    desk.answer(answer)
    assert len(desk.clicks.points) == n_left
    assert desk.clicks.region[1] == (0, region)


def test_answer_acts_on_the_clicks_of_its_moment():
    desk = Desk(Clicks(points((1, 1, 1), (2, 2, 2))).propose(points((3, 3, 3)), np.ones(1)))
    answers = desk.obstacle().answers
    desk.clicks = Clicks(desk.clicks.points, desk.clicks.proposed, desk.clicks.scores, region=((0, 6), (0, 9), (0, 9)))
    answers["Accept all"]()
    assert len(desk.clicks.points) == 3
    assert desk.clicks.region == ((0, 6), (0, 9), (0, 9))


def test_counter_tells_cells_and_time():
    assert counter_line(Clicks(), seconds=0).startswith("Click each cell once")
    two = Clicks(points((1, 1, 1), (2, 2, 2)))
    assert counter_line(two, seconds=8) == "2 cells clicked. 8 s so far, 4.0 s each."
