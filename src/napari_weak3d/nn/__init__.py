"""What the methods share: networks, sampling, augmentation, tiles, the training loop."""
