"""A centroids model from clicks to files and back; what of the input is refused."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from napari_weak3d import follow
from napari_weak3d.errors import AnnotationError, ModelError
from napari_weak3d.messages import PreviewSlice, Stop
from napari_weak3d.methods.centroids.learner import CENTRES, MASKS, annotate_all
from napari_weak3d.methods.centroids.model import CentroidsModel
from napari_weak3d.methods.centroids.proposing import propose
from napari_weak3d.methods.centroids.starting import go_on, make_scheme, share_lengths
from napari_weak3d.methods.centroids.suggesting import rank_slices
from napari_weak3d.metrics import instance_scores
from napari_weak3d.nn.loop import Budget
from napari_weak3d.samples import click_centroids, make_blobs
from napari_weak3d.types import NOWHERE, RELATIVE, Centroids, Sample, Volume

PART = ((0, 4), (0, 9), (0, 9))


@pytest.fixture
def refusal(cells, config, tmp_path):
    """What is said of clicks on the cells that cannot be learned from; nothing is written."""

    def refuse(clicks, region):
        job = CentroidsModel.fit([Sample(cells, clicks, region)], config=config(), folder=tmp_path / "model")
        with pytest.raises(AnnotationError) as caught:
            next(job)
        assert not (tmp_path / "model").exists()
        return caught.value.message

    return refuse


@pytest.mark.parametrize(
    ("points", "columns", "parts"),
    [
        ([], None, ["no centroids", "cells"]),
        ([[6, 14, 12]], None, ["only one click"]),
        ([[6, 14, 12], [6, 14, 50]], None, ["point 2", "x 50", "outside"]),
        ([[6, 14, 12], [6, 14, 26]], (0, 20), ["point 2", "region", "0:20"]),
        ([[6, 14, 12], [6, float("nan"), 50]], None, ["point 2", "y nan", "not finite"]),
        ([[6, 14, 12], [6, 14, float("-inf")]], None, ["point 2", "x -inf", "not finite"]),
        ([[6, 14], [6, 50]], None, ["shape (2, 2)", "(N, 3)"]),
        ([6.0, 14, 12], None, ["shape (3,)"]),
        ([[6, 14, 12], [2, 2, 2], [6.2, 13.9, 12.4]], None, ["points 1 and 3", "same voxel", "z 6, y 14, x 12"]),
    ],
)
def test_clicks_that_cannot_be_are_named(points, columns, parts, refusal):
    region = None if columns is None else ((0, 12), (0, 48), columns)
    message = refusal(Centroids(points), region)
    for part in parts:
        assert part in message


@pytest.mark.slow
def test_the_clicks_of_a_volume_of_the_training_are_its_centres(trained, finish, sample):
    model = CentroidsModel.load(trained)
    _, prediction = finish(model.predict(sample.volume))
    for point in sample.annotation.points_vox:
        assert prediction.labels[tuple(np.rint(point).astype(int))] > 0
    assert sum(row.score == 1 for row in prediction.objects) == 3
    _, without = finish(model.predict(sample.volume, settings={"use_clicks": False}))
    assert all(row.score < 1 for row in without.objects)


@pytest.mark.slow
def test_clicks_may_be_lists_of_whole_numbers(config, finish, sample, tmp_path):
    points = np.rint(sample.annotation.points_vox).astype(int).tolist()
    job = CentroidsModel.fit([Sample(sample.volume, Centroids(points))], config=config(), folder=tmp_path / "model")
    _, model = finish(job)
    assert model.stored.clicks[0].points_vox.tolist() == points
    _, prediction = finish(model.predict(sample.volume, clicks=Centroids(points)))
    assert len(prediction.objects) >= 3


@pytest.mark.slow
def test_given_clicks_are_centres_of_any_volume(trained, finish):
    noise = np.random.default_rng(5).normal(0, 1, (1, 12, 40, 40)).astype(np.float32)
    clicks = Centroids(np.array([[3.0, 10, 10], [8, 30, 30]]))
    _, prediction = finish(CentroidsModel.load(trained).predict(Volume(noise, (2.0, 1.0, 1.0), "um"), clicks=clicks))
    ids = [prediction.labels[3, 10, 10], prediction.labels[8, 30, 30]]
    assert len({0, *ids}) == 3


@pytest.mark.slow
def test_clicks_of_now_count_instead_of_those_of_the_training(trained, finish, sample):
    model = CentroidsModel.load(trained)

    def clicked(points, **given):
        annotated = Sample(sample.volume, Centroids(np.array(points, float).reshape(-1, 3)))
        _, prediction = finish(model.predict(sample.volume, annotated=annotated, **given))
        return sum(row.score == 1 for row in prediction.objects)

    now = sample.annotation.points_vox[:2] + 0.6
    assert clicked(now) == 2
    assert clicked(now, settings={"use_clicks": False}) == 0
    assert clicked([]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [(False, None, None), (False, PART, PART), (True, None, NOWHERE), (True, PART, PART)],
)
def test_clicks_of_now_are_complete_in_their_region_else_where_they_were_in_the_training(
    trained, sample, monkeypatch, case
):
    is_new, region, complete = case  # in the training all was clicked
    monkeypatch.setattr(
        "napari_weak3d.methods.centroids.model.segment_volume", lambda *given, clicks, **settings: iter([clicks])
    )
    volume = Volume(sample.volume.data + is_new, sample.volume.spacing, "um")
    known = next(CentroidsModel.load(trained).predict(volume, annotated=Sample(volume, sample.annotation, region)))
    assert known.region == complete


@pytest.mark.slow
def test_a_click_outside_of_the_volume_is_refused(trained, cells):
    with pytest.raises(AnnotationError, match="point 1"):
        next(CentroidsModel.load(trained).predict(cells, clicks=Centroids(np.array([[99.0, 0, 0]]))))


@pytest.mark.slow
def test_the_maps_come_with_the_labels_and_no_object_lies_below_a_half(trained, finish, cells):
    _, prediction = finish(CentroidsModel.load(trained).predict(cells))
    assert set(prediction.images) == {"centres", "inside", "mask"}
    assert prediction.images["centres"].shape == cells.shape
    assert (prediction.probabilities[0][prediction.labels > 0] >= 0.5).all()


@pytest.mark.slow
def test_response_maps_come_on_request_unless_they_are_stopped(trained, finish, sample):
    model = CentroidsModel.load(trained)
    progress, prediction = finish(model.predict(sample.volume, settings={"responses": True}))
    responses = prediction.images["responses"]
    assert (responses.shape, responses.min(), responses.max()) == (sample.volume.shape, 0, 1)
    begins = [item.message for item in progress].index("tracing responses")
    assert begins < len(progress) - 1
    commands = [None] * begins + [Stop()]
    until_then, without = finish(model.predict(sample.volume, settings={"responses": True}), *commands)
    assert len(until_then) == begins + 1
    assert "responses" not in without.images
    assert (without.labels == prediction.labels).all()


@pytest.mark.slow
def test_cells_are_parted_until_that_is_stopped(trained, finish, sample):
    job = partial(CentroidsModel.load(trained).predict, sample.volume, settings={"responses": True})
    progress, whole = finish(job())
    begins = [item.message for item in progress].index("parting cells")
    assert progress[begins].step == 0 < progress[begins].total
    until_then, nothing = finish(job(), *[None] * begins, Stop())
    assert len(until_then) == begins + 1
    assert not nothing.labels.any()
    assert not nothing.objects
    np.testing.assert_array_equal(nothing.images["mask"], whole.images["mask"])
    assert whole.labels.any()


@pytest.mark.slow
def test_what_is_segmented_is_not_lost_where_memory_runs_out_for_response_maps(trained, finish, sample, monkeypatch):
    def run_out(*_arguments, **_settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("napari_weak3d.methods.centroids.blocks.trace", run_out)
    _, prediction = finish(CentroidsModel.load(trained).predict(sample.volume, settings={"responses": True}))
    assert len(prediction.objects) >= 3
    assert prediction.notes == ("there are no response maps: memory ran out",)


@pytest.mark.slow
def test_what_was_not_segmented_before_a_stop_is_background(trained, finish, sample):
    """Tiles fade into each other: at the end of the last one that was predicted it counts little."""
    model = CentroidsModel.load(trained)
    settings = {"tile": 32, "use_clicks": False}
    progress, whole = finish(model.predict(sample.volume, settings=settings))
    assert progress[0].total > 1
    _, part = finish(model.predict(sample.volume, settings=settings), Stop())
    assert (part.images["mask"] <= whole.images["mask"] + 1e-5).all()


@pytest.mark.slow
def test_a_prediction_says_how_sure_its_objects_had_to_be(trained, finish, cells):
    model = CentroidsModel.load(trained)
    for settings, least in (({}, model.peak_threshold), ({"peak_threshold": 0.07}, 0.07)):
        _, prediction = finish(model.predict(cells, settings=settings))
        assert prediction.least_score == least
        assert all(row.score >= least for row in prediction.objects)


@pytest.mark.slow
def test_cells_are_found_alike_where_a_size_of_voxels_is_known_in_training_only_or_in_the_image_only(
    trained, config, finish, sample, tmp_path
):
    plain = replace(sample.volume, unit=RELATIVE)
    _, model = finish(
        CentroidsModel.fit([replace(sample, volume=plain)], config=config(), folder=tmp_path / "relative")
    )
    fine = replace(sample.volume, spacing=(0.2, 0.1, 0.1))
    for knows, same, other in ((CentroidsModel.load(trained), sample.volume, plain), (model, plain, fine)):
        found = []
        for volume in (same, other):
            _, prediction = finish(knows.predict(volume))
            centres, _ = knows.find_centres(prediction, volume)
            _, slices = finish(knows.suggest(Sample(volume, sample.annotation), count=2))
            found.append((prediction.labels.tolist(), centres.points_vox.tolist(), slices))
        assert found[0] == found[1]
        assert "known of" in prediction.notes[0]
        assert len(prediction.notes) == 1
        radii = [follow(propose(Sample(volume, sample.annotation), knows)).radius for volume in (same, other)]
        assert radii[1] / radii[0] == pytest.approx(other.spacing[1] / same.spacing[1])


@pytest.mark.slow
def test_a_result_says_that_voxels_differ_from_those_of_training(trained, finish, sample):
    other = replace(sample.volume, spacing=(2.0, 0.25, 0.25))
    progress, prediction = finish(CentroidsModel.load(trained).predict(other))
    assert prediction.notes == ("voxels differ 4 times from those of training: check the spacing",)
    assert prediction.notes[0] in progress[0].message


@pytest.mark.slow
def test_volumes_of_one_training_that_know_no_unit_are_measured_in_voxels_of_the_first(make_learner, sample):
    first = replace(sample.volume, spacing=(0.2, 0.1, 0.1))
    samples = share_lengths([replace(sample, volume=first), replace(sample, volume=_plain(sample))], start=None)
    learner = make_learner(samples)
    assert learner.annotated[0].look == learner.annotated[1].look
    learner.take((sample, replace(sample, volume=_plain(sample))))
    assert learner.annotated[1].spacing == pytest.approx((0.2, 0.1, 0.1))


def _plain(sample):
    return replace(sample.volume, spacing=(2.0, 1.0, 1.0), unit=RELATIVE)


@pytest.mark.slow
def test_training_that_was_stopped_goes_on_where_it_stood(config, sample, finish, tmp_path):
    folder = tmp_path / "model"
    finish(CentroidsModel.fit([sample], config=config(steps=8), folder=folder), *[None] * 5, Stop())
    assert (folder / "resume.safetensors").exists()
    progress, _ = finish(
        CentroidsModel.fit([sample], config=config(steps=8), folder=folder, start=CentroidsModel.load(folder))
    )
    assert progress[-1].step == 8
    assert not (folder / "resume.safetensors").exists()
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + 8


@pytest.mark.slow
def test_a_young_model_is_stored_as_it_was_previewed_and_scored_and_shown_so_when_it_goes_on(
    make_learner, config, sample, finish, tmp_path
):
    settings = {"steps": 1000}  # of a short one norms would be frozen soon
    job = CentroidsModel.fit([sample], config=config(**settings), folder=tmp_path / "model")
    stored = finish(job, None, None, Stop())[1].stored
    weights, averaged = stored.weights[CENTRES], stored.resume[CENTRES]
    means = [name for name in weights if name.endswith("running_mean")]
    assert all(not torch.equal(weights[name], averaged[f"averaged.{name}"]) for name in means)
    learner = make_learner(**settings)
    go_on(learner, stored, budget=Budget(60, **settings))
    for name, value in learner.pair().centre.state_dict().items():
        assert torch.equal(weights[name], value), name


@pytest.mark.slow
def test_a_training_that_goes_on_from_a_model_and_is_stopped_early_keeps_its_masks(
    trained, config, sample, finish, tmp_path
):
    start = CentroidsModel.load(trained)
    job = CentroidsModel.fit([sample], config=config(steps=8), folder=tmp_path / "model", start=start)
    progress, model = finish(job, None, PreviewSlice((0, 6)), Stop())
    assert model.stored.has_masks
    for name, weights in start.stored.weights[MASKS].items():
        assert (model.stored.weights[MASKS][name] == weights).all()
    assert any(item.preview is not None for item in progress)


@pytest.mark.slow
def test_a_result_says_that_masks_were_not_learned(config, sample, finish, tmp_path):
    _, model = finish(CentroidsModel.fit([sample], config=config(), folder=tmp_path / "model"), None, Stop())
    _, prediction = finish(model.predict(sample.volume))
    assert prediction.notes == ("the training ended before masks were learned: cells are drawn as balls; train longer",)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "learns_size"), [(0.8, True), (0.3, False)])
def test_a_model_that_goes_on_with_smaller_cells_knows_how_large_they_are(scale, learns_size, trained, config, sample):
    """As far as its networks can: where cells are so small that these would be built otherwise, it does not."""
    z, y, x = (along * scale for along in sample.volume.spacing)
    small = [Sample(replace(sample.volume, spacing=(z, y, x)), sample.annotation)]
    start = CentroidsModel.load(trained).stored
    before, after = start.scheme, make_scheme(small, annotate_all(small, config=config()), start=start)
    assert after.look.radius == pytest.approx((scale if learns_size else 1) * before.look.radius, rel=0.02)
    assert after.merge_distance < 0.9 * before.merge_distance


@pytest.mark.slow
@pytest.mark.parametrize("part", ["scheme", "clicks", "config"])
def test_a_description_without_a_part_is_refused(part, trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "model")
    described = json.loads((folder / "model.json").read_text())
    del described[part]
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="damaged"):
        CentroidsModel.load(folder)


@pytest.mark.slow
def test_another_width_cannot_go_on_from_a_model(trained, config, sample, tmp_path):
    job = CentroidsModel.fit(
        [sample], config=config(width=8), folder=tmp_path / "new", start=CentroidsModel.load(trained)
    )
    with pytest.raises(ModelError, match="width"):
        next(job)


@pytest.mark.slow
def test_every_centre_has_an_object(trained, finish, sample):
    """Also where a click is on another's voxel, and where small objects are left out."""
    points = sample.annotation.points_vox
    clicks = Centroids(np.concatenate([points, points[1:2] + 0.1, points[1:2]]))
    model = CentroidsModel.load(trained)
    _, all_of_it = finish(model.predict(sample.volume, clicks=clicks))
    sizes = np.bincount(all_of_it.labels.ravel())[1:]
    settings = {"smallest_object": int(sizes.max())}
    for given, prediction in (
        ({}, all_of_it),
        (settings, finish(model.predict(sample.volume, settings=settings, clicks=clicks))[1]),
    ):
        centres, scores = model.find_centres(prediction, sample.volume, settings=given, clicks=clicks)
        assert len(centres.points_vox) == len(scores) == len(prediction.objects)
        np.testing.assert_allclose(scores, [row.score for row in prediction.objects], atol=1e-6)


@pytest.mark.slow
def test_suggested_slices_are_where_a_cell_has_no_click(trained, finish, sample):
    model = CentroidsModel.load(trained)
    _, chosen = finish(model.suggest(Sample(sample.volume, Centroids(np.zeros((0, 3)))), count=3))
    assert len(set(chosen)) == 3
    assert all(axis == 0 for axis, _ in chosen)


@pytest.mark.slow
def test_slices_are_suggested_for_what_is_unsure_in_the_region(trained, finish, sample):
    model = CentroidsModel.load(trained)
    _, prediction = finish(model.predict(sample.volume))
    centres, uncertainty = np.zeros(sample.volume.shape, np.float32), np.zeros(sample.volume.shape, np.float32)
    centres[6, 30, 40] = centres[11, 20, 20] = 0.5  # beside the region, and beyond its last slice
    uncertainty[5, :, 30:], uncertainty[2, 10:20, 10:20] = 1, 0.1
    unsure = replace(prediction, images={"centres": centres}, uncertainty=uncertainty)
    clicked = Sample(sample.volume, sample.annotation, ((1, 9), (0, 48), (0, 28)))
    scheme = replace(model.stored.scheme, look=replace(model.stored.scheme.look, radius=0.1))
    chosen = rank_slices(unsure, clicked, scheme=scheme, threshold=0.5, count=20)
    assert chosen[0] == (0, 2)
    assert {z for _, z in chosen} == set(range(1, 9))


@pytest.mark.slow
def test_a_small_synthetic_volume_is_learned_by_heart_also_without_its_clicks(config, finish, tmp_path):
    made = make_blobs(np.random.default_rng(3), shape=(32, 64, 64), diameter_um=6.0)
    clicks = click_centroids(made.labels, rng=np.random.default_rng(0))
    settings = config(steps=200, width=8, levels=3, patch=32, pixels=32768, centre_share=0.6)
    _, model = finish(CentroidsModel.fit([Sample(made.volume, clicks)], config=settings, folder=tmp_path / "model"))
    for use_clicks in (True, False):
        _, prediction = finish(model.predict(made.volume, settings={"use_clicks": use_clicks}))
        assert instance_scores(prediction.labels, made.labels).f1 > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["guided", "excitation", "both"])
def test_masks_can_be_learned_from_response_maps(kind, config, sample, finish, tmp_path):
    settings = config(pseudo_labels=kind)
    _, model = finish(CentroidsModel.fit([sample], config=settings, folder=tmp_path / "model"))
    assert model.stored.has_masks
