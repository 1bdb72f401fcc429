"""Probes: arrays in, scores out. They know nothing of images, encoders or files."""
