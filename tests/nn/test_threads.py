"""Threads: as many as are fast now."""

import pytest

from napari_weak3d.nn.threads import ThreadTuner, find_fastest


def run(tuner, used, *, cost, steps):
    for _ in range(steps):
        tuner.after_step(cost(used[-1]))


def make(most):
    used = [most]
    return ThreadTuner(most, set_threads=used.append), used


@pytest.mark.parametrize(("cost", "fastest"), [(lambda n: 1 / n, 8), (lambda n: n, 1), (lambda n: abs(n - 4), 4)])
def test_fastest_number_of_threads_is_found(cost, fastest):
    assert find_fastest(8, seconds=cost) == fastest


def test_one_slow_moment_does_not_speak_against_all_threads():
    moments = {2: iter([9.0, 1.0]), 1: iter([2.0, 2.0])}
    assert find_fastest(2, seconds=lambda threads: next(moments[threads])) == 2


def test_all_threads_are_used_where_they_are_fastest():
    tuner, used = make(4)
    run(tuner, used, cost=lambda threads: 1 / threads, steps=8)
    assert used[-1] == 4


def test_fewer_threads_are_used_where_another_program_holds_a_core():
    tuner, used = make(4)
    run(tuner, used, cost=lambda threads: 0.2 * threads, steps=8)
    assert used[-1] == 1
    assert set(used) == {4, 2, 1}


def test_the_choice_is_made_anew_when_the_machine_is_free_again():
    tuner, used = make(2)
    run(tuner, used, cost=lambda threads: 0.5 * threads, steps=6)
    assert used[-1] == 1
    run(tuner, used, cost=lambda threads: 1 / threads, steps=40)
    assert used[-1] == 2


def test_the_slow_first_step_after_a_change_does_not_count():
    tuner, used = make(2)
    seconds = iter([1.0, 9.0, 1.0, 2.0, 2.0])
    for step in seconds:
        tuner.after_step(step)
    assert used[-1] == 2


def test_one_thread_is_left_alone():
    tuner, used = make(1)
    run(tuner, used, cost=lambda threads: 1.0, steps=30)
    assert used == [1]
