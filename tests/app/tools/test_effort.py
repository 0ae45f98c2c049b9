"""Time between interactions counts, of long pauses the beginning."""

import pytest

from napari_weak3d.app.tools.effort import EffortClock, effort_line

pytestmark = pytest.mark.window


def test_time_between_interactions_counts_up_to_thirty_seconds():
    times = iter([100.0, 110.0, 139.0, 169.0, 170.0])
    clock = EffortClock(5.0, now=lambda: next(times))
    for _ in range(5):
        clock.tick()
    assert clock.seconds == 5 + 10 + 29 + 30 + 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (effort_line(0, n_complete=0, n_objects=None, share=0), "0 s so far: 0 slices complete."),
        (
            effort_line(120, n_complete=1, n_objects=1, share=0.02),
            "2 min so far: 1 slice complete, 1 object. All of it at this rate: 1 h 40 min.",
        ),
        (
            effort_line(7200, n_complete=3, n_objects=None, share=0.05),
            "2 h 0 min so far: 3 slices complete. All of it at this rate: 40 h.",
        ),
    ],
)
def test_the_line_says_what_was_spent_and_what_everything_would_cost(line, expected):
    assert line == expected
