"""Training on clicks: who learns what and when, and what happens when memory runs out or clicks change."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from napari_weak3d.errors import ConfigError
from napari_weak3d.messages import Stop
from napari_weak3d.methods.centroids import learner as learner_module
from napari_weak3d.methods.centroids import volumes
from napari_weak3d.methods.centroids.holding_out import THRESHOLDS
from napari_weak3d.methods.centroids.learner import CENTRES, MASKS
from napari_weak3d.methods.centroids.networks import N_OUTPUTS
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.phases import train
from napari_weak3d.methods.centroids.refine import edge_strength, refinement_loss
from napari_weak3d.methods.centroids.scheme import Calibration
from napari_weak3d.methods.centroids.volumes import find_forgotten, settle_clicks
from napari_weak3d.nn.loop import Budget
from napari_weak3d.nn.member import Member
from napari_weak3d.nn.sampling import draw_batch
from napari_weak3d.types import Centroids, Sample

pytestmark = pytest.mark.slow


def steps_of(learner):
    return [member.steps for member in learner.members]


def test_centres_are_learned_until_there_are_masks_then_masks(make_learner):
    learner = make_learner()
    learner.learn_centres(without_held_out=True)
    learner.step(0.1)
    assert steps_of(learner) == [1, 0]
    learner.learn_masks()
    learner.step(0.5)
    learner.step(0.6)
    assert steps_of(learner) == [1, 2]


def test_after_new_clicks_both_networks_learn_in_turn(make_learner, sample):
    learner = make_learner()
    learner.learn_centres(without_held_out=False)
    learner.learn_masks()
    learner.take((Sample(sample.volume, Centroids(sample.annotation.points_vox + 1.0)),))
    for _ in range(4):
        learner.step(0.7)
    assert steps_of(learner) == [2, 2]


@pytest.mark.parametrize(("kind", "says"), [("image", ""), ("guided", " from the image alone")])
def test_new_clicks_have_no_response_maps_and_that_is_said(kind, says, make_learner, sample):
    learner = make_learner(pseudo_labels=kind)
    learner.responses = [np.ones(sample.volume.shape, np.float32)] if kind == "guided" else []
    learner.learn_masks()
    assert learner.notice == "learning masks"
    learner.take((Sample(sample.volume, Centroids(sample.annotation.points_vox + 1.0)),))
    assert learner.notice.split(":")[0] == f"learning masks{says}"


def test_while_there_are_no_masks_previews_show_centres_as_deep_as_cells_are(make_learner, monkeypatch):
    learner = make_learner()
    learner.scheme = replace(learner.scheme, look=replace(learner.scheme.look, radius=8.0))
    centre = Peaks(np.array([[0.0, 20, 20]]), np.ones(1))
    monkeypatch.setattr("napari_weak3d.methods.centroids.previewing.find_cells", lambda *_, **__: centre)
    assert learner.show((0, 3), sample=0).labels.any()  # 6 um from the centre
    assert not learner.show((0, 5), sample=0).labels.any()


def test_without_any_click_left_it_goes_on_with_those_there_were(make_learner, sample):
    learner = make_learner()
    learner.learn_centres(without_held_out=False)
    learner.take((Sample(sample.volume, Centroids(np.zeros((0, 3)))),))
    assert "nothing is clicked" in learner.notice
    assert learner.step(0.1)["loss"] > 0


def test_new_clicks_are_taken_without_measuring_cells_again(make_learner, sample, monkeypatch):
    learner = make_learner()
    learner.learn_centres(without_held_out=False)
    look = learner.annotated[0].look
    monkeypatch.setattr(volumes, "measure_cells", lambda *_, **__: pytest.fail("it takes seconds"))
    learner.take((Sample(sample.volume, Centroids(sample.annotation.points_vox + 1.0)),))
    assert learner.annotated[0].look == look


def test_edges_of_the_image_are_found_once_as_long_as_it_is_seen_alike(make_learner, sample, monkeypatch):
    learner, found = make_learner(), []

    def find(*args, **options):
        found.append(options["region"])
        return edge_strength(*args, **options)

    monkeypatch.setattr(volumes, "edge_strength", find)
    learner.learn_centres(without_held_out=False)
    learner.learn_masks()
    before = learner._lessons[MASKS].sources[0].maps
    moved = Centroids(sample.annotation.points_vox + 1.0)
    learner.take((Sample(sample.volume, moved),))
    assert len(found) == 1
    np.testing.assert_array_equal(learner._lessons[MASKS].sources[0].maps[0], before[0])
    learner.take((Sample(sample.volume, moved, ((0, 12), (0, 40), (0, 48))),))
    assert found[1:] == [(slice(0, 12), slice(0, 40), slice(0, 48))]


def many_clicks(sample):
    grid = np.stack(np.meshgrid([3.0, 8], np.arange(4.0, 48, 8), np.arange(4.0, 48, 8), indexing="ij"), -1)
    return Sample(sample.volume, Centroids(grid.reshape(-1, 3)))


def test_clicks_are_held_out_once_there_are_enough_and_then_stay_so(make_learner, sample):
    learner = make_learner(centre_clicks=False)
    learner.learn_centres(without_held_out=True)
    assert not learner.held_out[0].any()
    many = many_clicks(sample)
    learner.take((many,))
    (held_out,) = learner.held_out
    np.testing.assert_array_equal(held_out, make_learner([many], centre_clicks=False).held_out[0])
    assert held_out.any()
    assert (learner._lessons[CENTRES].sources[0].labels[held_out] == -1).all()
    half = many.annotation.points_vox[::2] * np.array([1, 0.5, 1])
    learner.take((Sample(sample.volume, Centroids(half)),))
    assert learner.held_out[0] is held_out


def test_once_scored_no_clicks_are_held_out_any_more(make_learner, sample):
    learner = make_learner()
    learner.calibration = Calibration(0.25)
    learner.take((many_clicks(sample),))
    assert not learner.held_out[0].any()


def test_other_images_are_not_taken_over(make_learner, sample):
    learner = make_learner()
    other = replace(sample, volume=replace(sample.volume, data=sample.volume.data[:, :, :20]))
    learner.take((other,))
    assert "other images" in learner.notice


def run_out(*_arguments, **_settings):
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_with_less_memory_it_goes_on_with_less_until_nothing_is_left_to_shrink(make_learner, monkeypatch):
    learner = make_learner(pixels=65536)
    learner.learn_centres(without_held_out=False)
    monkeypatch.setattr(Member, "step", run_out)
    shrunk = []
    with pytest.raises(ConfigError, match="out of memory even with one patch"):
        shrunk.extend((learner.step(0.1), learner.notice) for _ in range(20))
    assert len(shrunk) >= 3
    assert all(metrics == {} and "out of memory" in notice for metrics, notice in shrunk)


def test_where_memory_ran_out_a_checkpoint_needs_no_more_than_the_next_step(make_learner, monkeypatch):
    learner = make_learner(pixels=65536)
    learner.learn_centres(without_held_out=False)
    learner.step(0.0)
    before = learner.members[CENTRES].averaged.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(Member, "step", run_out)
        learner.step(0.1)
    shown = learner.members[CENTRES].snapshot().state_dict()
    assert all(torch.equal(shown[name], value) for name, value in before.items())


def test_outside_of_the_region_nothing_is_learned(make_learner, sample):
    region = ((0, 12), (0, 48), (0, 32))
    learner = make_learner([Sample(sample.volume, Centroids(sample.annotation.points_vox[:1]), region)])
    learner.learn_centres(without_held_out=False)
    learner.learn_masks()
    for number in (CENTRES, MASKS):
        labels = learner._lessons[number].sources[0].labels
        assert (labels[:, :, 32:] == -1).all()
        assert (labels[:, :, :32] >= 0).any()


def test_a_cell_that_seems_forgotten_is_no_background(make_learner):
    learner = make_learner()
    (annotated,) = learner.annotated
    learner.annotated = [replace(annotated, forgotten=Peaks(np.array([[6.0, 40, 8]]), np.array([0.9])))]
    assert annotated.learnable()[6, 40, 8]
    assert not learner.annotated[0].learnable()[6, 40, 8]
    assert learner.annotated[0].learnable()[6, 14, 12]


def test_only_sure_peaks_far_from_clicks_are_forgotten_cells_and_few_of_them(make_learner, sample):
    (annotated,) = make_learner().annotated
    many = replace(annotated, points_vox=np.repeat(annotated.points_vox, 5, axis=0))
    clicked = sample.annotation.points_vox
    peaks = Peaks(np.concatenate([clicked, [[6.0, 42, 6], [6, 4, 44], [6, 44, 44]]]), np.linspace(0.9, 0.7, 6))
    found = find_forgotten(many, peaks)
    assert found.points_vox.tolist() == [[6, 42, 6], [6, 4, 44]]
    assert len(find_forgotten(annotated, peaks)) == 0


def test_masks_are_made_around_the_peaks_that_are_nearest_to_clicks(make_learner, config):
    (annotated,) = make_learner().annotated
    peaks = Peaks(annotated.points_vox[:2] + np.array([[0, 1, 1], [0, 0, 30.0]]), np.array([0.9, 0.8]))
    settled = settle_clicks(annotated, peaks, config=config())
    np.testing.assert_allclose(settled.points_vox[0], annotated.points_vox[0] + np.array([0, 1, 1]))
    np.testing.assert_allclose(settled.points_vox[1:], annotated.points_vox[1:])
    assert settled.cells.owner[tuple(np.rint(settled.points_vox[0]).astype(int))] == 0


def test_new_clicks_are_moved_to_the_middles_that_the_first_network_saw_and_forgotten_cells_stay_left_out(
    make_learner, sample
):
    learner = make_learner(centre_clicks=False)
    middles = sample.annotation.points_vox
    # the fourth is no cell of the clicks
    learner.peaks = [Peaks(np.concatenate([middles, [[6.0, 42, 6]]]), np.array([0.9, 0.9, 0.9, 0.8]))]
    learner.hears = True
    learner.annotated = [replace(learner.annotated[0], look=replace(learner.annotated[0].look, radius=7.0))]
    learner.learn_centres(without_held_out=False)
    learner.settle()
    learner.learn_masks()
    several = np.concatenate([middles + np.array([0, 2.0, 2.0]), [[2.0, x, 44] for x in (4, 12, 20, 28)]])
    learner.take((Sample(sample.volume, Centroids(several)),))
    np.testing.assert_allclose(learner.settled[0].points_vox[:3], middles)
    np.testing.assert_allclose(learner.settled[0].points_vox[3:], several[3:])
    assert learner.annotated[0].forgotten.points_vox.tolist() == [[6, 42, 6]]
    assert learner._lessons[MASKS].sources[0].labels[6, 42, 6] == -1


@pytest.mark.parametrize("fraction", [0.3, 0.9])
def test_a_training_that_goes_on_sees_again_what_its_first_network_had_seen(
    fraction, make_learner, sample, finish, monkeypatch
):
    learner = make_learner(centre_clicks=False)
    learner.calibration = Calibration(0.25, held_out_f1=0.9)
    moved = sample.annotation.points_vox + np.array([0, 1.0, 0])

    def find(self, centre_map, **options):
        return Peaks(moved, np.array([0.9, 0.9, 0.9]))

    monkeypatch.setattr("napari_weak3d.methods.centroids.scheme.Scheme.find_peaks", find)
    seen = []
    monkeypatch.setattr(learner, "learn_centres", lambda **_: seen.append([s.points_vox for s in learner.settled]))
    budget = Budget(60, steps=10)
    budget.skip(fraction)
    progress = next(train(learner, budget))
    assert progress.message.startswith("finding centres")
    finish(train(learner, budget), Stop())
    assert not seen
    with suppress(KeyError):  # no lesson to go on with
        finish(train(learner, budget))
    settled = seen[0]
    assert learner.hears
    if fraction < learner.config.centre_share:
        assert settled == []
    else:
        np.testing.assert_allclose(settled[0], moved)


def test_centres_are_looked_for_around_the_region_alone_and_found_there_as_in_the_whole_volume(make_learner, sample):
    wide = replace(sample.volume, data=np.tile(sample.volume.data, (1, 1, 1, 10)))
    clicks = Centroids(sample.annotation.points_vox + np.array([0, 0, 192.0]))
    learner = make_learner([Sample(wide, clicks, ((0, 12), (0, 48), (192, 240)))], centre_clicks=False)
    head = learner.members[CENTRES].averaged.head
    torch.nn.init.normal_(head.weight, 0, 2)
    torch.nn.init.zeros_(head.bias)
    learner.calibration = Calibration(0.25)
    (annotated,) = learner.annotated
    whole = np.empty((N_OUTPUTS, *annotated.shape), np.float32)
    assert list(learner.pair().predict(annotated.view.image, spacing=annotated.spacing, out=whole))
    threshold = float(THRESHOLDS[0])
    in_all = learner.scheme.find_peaks(whole[0], spacing=annotated.spacing, threshold=threshold).points_vox
    job = train(learner, Budget(60, steps=10))
    next(job)
    while not learner.peaks:
        job.send(None)
    found = learner.peaks[0].points_vox
    assert 140 < found[:, 2].min() < found[:, 2].max() < 292
    in_all, found = (each[abs(each[:, 2] - 216) < 34] for each in (in_all, found))
    assert len(found) == len(in_all) > 5
    apart, _ = cKDTree(in_all).query(found)
    assert apart.max() < 1e-3


def test_transmitted_light_is_not_turned_upside_down(make_learner, monkeypatch):
    asked = []

    def draw(*args, augmentation, **options):
        asked.append(augmentation)
        return draw_batch(*args, augmentation=augmentation, **options)

    monkeypatch.setattr(learner_module, "draw_batch", draw)
    for stain in ("neither", "inside"):
        learner = make_learner(stain=stain)
        learner.learn_centres(without_held_out=False)
        learner.step(0.0)
    upright, free = asked
    assert (upright.flip_chance, upright.out_of_plane_degrees, upright.swapped_axes) == (0, 0, (1, 2))
    assert free.flip_chance > 0


def test_masks_are_refined_in_the_region_alone_and_by_the_spacing_of_each_volume(make_learner, sample, monkeypatch):
    asked = []

    def refine(mask, strength, *, known, spacings, **options):
        asked.append((known, spacings))
        return refinement_loss(mask, strength, known=known, spacings=spacings, **options)

    monkeypatch.setattr(learner_module, "refinement_loss", refine)
    region = ((0, 12), (0, 48), (0, 20))
    clicked = Centroids(sample.annotation.points_vox[:1])
    other = replace(sample.volume, spacing=(1.5, 1.0, 1.0))
    learner = make_learner([Sample(sample.volume, clicked, region), Sample(other, sample.annotation)], pixels=65536)
    learner.learn_masks()
    for _ in range(2):
        learner.step(0.9)
    (_, spacings), *_ = asked
    assert set(spacings) == {sample.volume.spacing, other.spacing}
    shares = {
        spacing: np.mean(
            [
                float(each[row].float().mean())
                for each, all_of in asked
                for row, one in enumerate(all_of)
                if one == spacing
            ]
        )
        for spacing in spacings
    }
    assert shares[sample.volume.spacing] < 0.9 < shares[other.spacing]
