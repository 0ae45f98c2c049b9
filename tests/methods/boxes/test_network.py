import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.anchors import plan_anchors
from napari_weak3d.methods.boxes.config import BoxLoss
from napari_weak3d.methods.boxes.losses import box_losses, mask_loss
from napari_weak3d.methods.boxes.masks import crop_masks
from napari_weak3d.methods.boxes.network import BoxNetwork, VoxResBlock, make_picture, plan_backbone
from napari_weak3d.methods.boxes.scheme import measure_grain
from napari_weak3d.methods.boxes.targets import MatchRule, make_targets, match_anchors

SIZES = np.array([[4.0, 10, 10], [8, 30, 30]])
"""They span over a factor of two: two layers with anchors."""


def build(
    *, spacing=(1.0, 1.0, 1.0), stem=(1, 1, 1), levels=3, n_classes=2, sizes=SIZES, deep_masks=True, voxel_maps=False
):
    torch.manual_seed(0)
    _, strides = plan_backbone(spacing, stem=stem, levels=levels)
    layers = plan_anchors(sizes, strides=strides)
    return BoxNetwork(
        1,
        n_classes,
        grain=spacing,
        anchors=layers,
        width=4,
        levels=levels,
        stem=stem,
        roi_size=4,
        deep_masks=deep_masks,
        voxel_maps=voxel_maps,
    )


def test_strides_follow_the_spacing_behind_the_stem():
    assert plan_backbone((1, 1, 1), stem=(1, 1, 1), levels=3)[1] == [(1, 1, 1), (2, 2, 2), (4, 4, 4)]
    assert plan_backbone((4, 1, 1), stem=(1, 2, 2), levels=3)[1] == [(1, 2, 2), (1, 4, 4), (2, 8, 8)]
    assert plan_backbone((0.5, 1, 1), stem=(2, 1, 1), levels=2)[1] == [(2, 1, 1), (4, 2, 2)]


def test_flat_objects_are_halved_in_their_plane_first_whatever_the_spacing_says():
    grain = measure_grain((5.0, 43.0, 42.0))
    assert plan_backbone(grain, stem=(1, 4, 4), levels=4)[1] == [(1, 4, 4), (1, 8, 8), (2, 16, 16), (4, 32, 32)]


@pytest.mark.parametrize(
    ("spacing", "stem"),
    [
        ((1, 1, 1), (1, 1, 1)),
        ((4, 1, 1), (1, 2, 2)),
        ((2, 1, 1), (1, 3, 3)),
        ((1, 1, 1), (4, 4, 4)),
        ((0.5, 1, 1), (2, 1, 1)),
    ],
)
def test_every_anchor_says_a_class_and_a_box_and_every_level_has_its_stride(spacing, stem):
    net = build(spacing=spacing, stem=stem, n_classes=3)
    shape = tuple(int(2 * n) for n in net.multiple)
    out = net(torch.zeros(2, 1, *shape))
    n_anchors = len(net.place_anchors(shape))
    assert out.logits.shape == (2, n_anchors, 3)
    assert out.offsets.shape == (2, n_anchors, 6)
    for features, stride in zip(out.features, net.strides, strict=True):
        assert features.shape[2:] == tuple(n // step for n, step in zip(shape, stride, strict=True))


def test_what_an_anchor_says_comes_from_where_it_lies():
    net = build().eval()
    shape = (16, 32, 32)
    image = torch.randn(1, 1, *shape, requires_grad=True)
    anchors = net.place_anchors(shape)
    inside = ((anchors[:, 0] >= 8) & (anchors[:, 1] <= torch.tensor([16, 30, 30]))).all(1).nonzero()[0, 0]
    with torch.no_grad():
        net.heads[0].classes.weight.normal_()
    net(image).logits[0, inside, 1].backward()
    where = image.grad[0, 0].nonzero().float()
    weights = image.grad[0, 0].abs()[image.grad[0, 0] != 0][:, None]
    seen_from = (where * weights).sum(0) / weights.sum() + 0.5
    assert (seen_from - anchors[inside].mean(0)).abs().max() < 2


def test_features_are_centred_on_the_voxels_they_stand_for():
    """A flipped image gives, through flipped filters, flipped features: nothing is shifted."""
    net = build(spacing=(2, 1, 1), stem=(1, 2, 2)).eval()
    flipped = build(spacing=(2, 1, 1), stem=(1, 2, 2)).eval()
    flipped.load_state_dict(net.state_dict())
    with torch.no_grad():
        for module in flipped.backbone.modules():
            if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
                module.weight.copy_(module.weight.flip(4))
        image = torch.randn(1, 1, 8, 16, 32)
        for one, other in zip(net.backbone(image), flipped.backbone(image.flip(4)), strict=True):
            torch.testing.assert_close(one, other.flip(4), atol=1e-5, rtol=1e-4)


def test_a_voxres_block_adds_to_what_came_in():
    block = VoxResBlock(4, kernel=(1, 3, 3))
    torch.nn.init.zeros_(block.conv2.weight)
    image = torch.randn(1, 4, 3, 5, 5)
    assert torch.equal(block(image), image)


def test_before_training_hardly_any_anchor_sees_an_object():
    for n_classes in (2, 4):
        chances = build(n_classes=n_classes)(torch.randn(1, 1, 8, 16, 16)).logits.softmax(2)
        assert 0.005 < float(1 - chances[..., 0].mean()) < 0.02


@pytest.mark.parametrize("deep", [True, False])
def test_masks_have_two_points_per_sampled_feature_also_of_no_boxes(deep):
    net = build(deep_masks=deep)
    picture = torch.randn(2, 1, 8, 16, 16)
    features = net(picture).features
    rois = torch.tensor([[[0.0, 0, 0], [5, 6, 7]], [[1, 2, 3], [9, 20, 20]], [[0, 0, 0], [1, 1, 1]]])
    assert net.find_masks(features, rois, image=torch.tensor([0, 1, 1]), picture=picture).shape == (3, 8, 8, 8)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert net.find_masks(features, rois[:0], image=nothing, picture=picture).shape == (0, 8, 8, 8)


@pytest.mark.parametrize("deep", [True, False])
def test_what_is_said_of_a_box_depends_on_no_other_box(deep):
    net = build(deep_masks=deep).train()
    picture = torch.randn(1, 1, 8, 16, 16)
    features = net(picture).features
    rois = torch.tensor([[[0.0, 0, 0], [5, 6, 7]], [[1, 2, 3], [7, 12, 12]]])
    both = net.find_masks(features, rois, image=torch.tensor([0, 0]), picture=picture)
    alone = net.find_masks(features, rois[:1], image=torch.tensor([0]), picture=picture)
    torch.testing.assert_close(both[:1], alone)


def step(net, *, has_mask):
    """One patch of two objects; the losses of boxes and masks, and the features that they flow back to."""
    shape = (8, 16, 16)
    labels = torch.zeros(1, *shape, dtype=torch.int32)
    truth = torch.tensor([[[1.0, 1, 1], [5, 6, 6]], [[2, 9, 9], [7, 15, 14]]])
    for row, (low, high) in enumerate(truth.int().tolist()):
        labels[0][tuple(map(slice, low, high))] = row + 1
    picture = torch.randn(1, 1, *shape)
    out = net(picture)
    for features in out.features:
        features.retain_grad()
    anchors = net.place_anchors(shape)
    rows = match_anchors(anchors, truth, rule=MatchRule())
    targets = make_targets(rows, anchors, truth=truth, classes=torch.tensor([1, 1]))
    boxes = box_losses(out.logits[0], out.offsets[0], targets=targets, kind=BoxLoss.FOCAL)
    image = torch.tensor([0, 0])
    masks = crop_masks(labels, truth, ids=torch.tensor([1, 2]), image=image, size=8)
    logits = net.find_masks(out.features, truth, image=image, picture=picture)
    return out, boxes.classes + boxes.offsets, mask_loss(logits, masks, has_mask=torch.tensor(has_mask))


def test_the_mask_loss_sends_nothing_to_features_of_an_unmasked_object_and_the_box_loss_does():
    net = build()
    out, _, masks = step(net, has_mask=[True, False])
    masks.backward()
    finest = out.features[0].grad[0]
    assert (finest[:, 2:7, 9:15, 9:14] == 0).all()
    assert (finest[:, 1:5, 1:6, 1:6] != 0).any()
    out, boxes, _ = step(net, has_mask=[True, False])
    boxes.backward()
    assert (out.features[0].grad[0][:, 2:7, 9:15, 9:14] != 0).any()


@pytest.mark.parametrize("deep", [True, False])
def test_without_any_mask_only_boxes_teach(deep):
    net = build(sizes=SIZES[:1], deep_masks=deep)
    _, boxes, masks = step(net, has_mask=[False, False])
    (boxes + masks).backward()
    assert all((weight.grad == 0).all() for weight in net.mask_head.parameters())
    assert all((weight.grad != 0).any() for head in net.heads for weight in head.parameters())


@pytest.mark.parametrize("deep", [True, False])
def test_with_boxes_and_masks_every_weight_is_taught(deep):
    net = build(deep_masks=deep)
    _, boxes, masks = step(net, has_mask=[True, True])
    (boxes + masks).backward()
    assert all(weight.grad is not None for weight in net.parameters())


def test_maps_are_as_fine_as_the_image_and_the_same_told_alone():
    net = build(stem=(1, 2, 2), voxel_maps=True)
    image = torch.randn(2, 1, 8, 32, 32)
    with torch.no_grad():
        net.train()(image)
        net.eval()
        maps = net(image).maps
        assert maps.shape == (2, 3, 8, 32, 32)
        assert torch.equal(net.tell_maps(image), maps)


def test_masks_see_the_maps_and_teach_them_nothing():
    net = build(voxel_maps=True)
    image = torch.randn(1, 1, 8, 16, 16)
    out = net(image)
    picture = make_picture(image, out.maps)
    assert picture.shape == (1, 4, 8, 16, 16)
    rois = torch.tensor([[[0.0, 0, 0], [5, 6, 7]]])
    net.find_masks(out.features, rois, image=torch.tensor([0]), picture=picture).sum().backward()
    assert all(weight.grad is None for weight in net.map_head.parameters())
    assert net.mask_head.after[0][0].weight.grad.abs().sum() > 0
