"""The parts fit: together they learn a patch by heart. That the method works is not shown by this."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.anchors import choose_sizes, plan_anchors
from napari_weak3d.methods.boxes.config import BoxLoss
from napari_weak3d.methods.boxes.detections import read_detections
from napari_weak3d.methods.boxes.geometry import jitter_boxes, pad_boxes
from napari_weak3d.methods.boxes.losses import box_losses, mask_loss
from napari_weak3d.methods.boxes.masks import crop_masks, paste_masks
from napari_weak3d.methods.boxes.network import BoxNetwork, plan_backbone
from napari_weak3d.methods.boxes.targets import MatchRule, make_targets, match_anchors
from napari_weak3d.metrics import box_scores, foreground_iou
from napari_weak3d.nn.adamw import AdamW
from napari_weak3d.samples import draw_boxes, make_blobs

SHAPE = (16, 40, 40)
STEPS = 200
STEM = 2
LEVELS = 3


@pytest.fixture(scope="module")
def patch():
    """Touching nuclei, all boxed, half of them with masks."""
    rng = np.random.default_rng(3)
    sample = make_blobs(rng, shape=SHAPE, spacing=(0.5, 0.5, 0.5), diameter_um=6.0, fill=0.25, touching=0.5)
    return sample, draw_boxes(sample.labels, rng=rng, fraction=0.5)


def learn_by_heart(sample, boxes, *, rng):
    """A network trained on nothing but this patch, its image, and its anchors."""
    torch.manual_seed(0)
    spacing = sample.volume.spacing
    _, strides = plan_backbone(spacing, stem=STEM, levels=LEVELS)
    layers = plan_anchors(choose_sizes([boxes], count=2, rng=rng), strides=strides)
    net = BoxNetwork(1, 2, spacing=spacing, anchors=layers, width=8, levels=LEVELS, stem=STEM, roi_size=8)
    image = torch.from_numpy(sample.volume.data.astype(np.float32))[None]
    image = (image - image.mean()) / image.std()
    truth, classes = torch.from_numpy(boxes.corners).float(), torch.from_numpy(boxes.classes)
    masks, has_mask = torch.from_numpy(boxes.masks)[None], torch.from_numpy(boxes.has_mask)
    anchors = net.place_anchors(SHAPE)
    rows = match_anchors(anchors, truth, rule=MatchRule())
    targets = make_targets(rows, anchors, truth=truth, classes=classes)
    ids, which = torch.arange(len(truth)) + 1, torch.zeros(len(truth), dtype=torch.int64)
    optimizer = AdamW(net.parameters(), learning_rate=1e-2, weight_decay=0)
    for step in range(STEPS):
        optimizer.learning_rate = 1e-2 * (1 - step / STEPS)
        optimizer.zero_grad()
        out = net(image)
        found = box_losses(out.logits[0], out.offsets[0], targets=targets, kind=BoxLoss.FOCAL)
        rois = pad_boxes(jitter_boxes(truth, share=0.1, rng=rng), share=0.15)
        crops = crop_masks(masks, rois, ids=ids, image=which, size=16)
        logits = net.find_masks(out.features, rois, image=which)
        (found.classes + found.offsets + mask_loss(logits, crops, has_mask=has_mask)).backward()
        optimizer.step()
    return net.eval(), image, anchors


@torch.no_grad()
def segment(net, image, *, anchors, truth):
    """The boxes above the score that gives the best detection F1, and their masks in the volume."""
    out = net(image)
    found = read_detections(out.logits[0], out.offsets[0], anchors=anchors, least_score=0.2).suppressed(threshold=0.3)
    cuts = [found.take(found.scores >= score) for score in found.scores]
    best = max(cuts, key=lambda cut: box_scores(cut.boxes.numpy(), truth).f1)
    rois = pad_boxes(best.boxes, share=0.15)
    logits = net.find_masks(out.features, rois, image=torch.zeros(len(rois), dtype=torch.int64))
    return best.boxes.numpy(), paste_masks(logits.sigmoid(), rois, shape=SHAPE).labels


@pytest.mark.slow
def test_one_patch_is_learned_by_heart_all_boxes_and_most_of_the_masks_half_of_which_were_shown(patch):
    sample, boxes = patch
    net, image, anchors = learn_by_heart(sample, boxes, rng=np.random.default_rng(0))
    found, labels = segment(net, image, anchors=anchors, truth=boxes.corners)
    assert box_scores(found, boxes.corners).f1 == 1
    assert foreground_iou(labels, sample.labels) > 0.7
