"""Metrics: arrays in, numbers out. Their names, units and ranges are in names.toml."""
