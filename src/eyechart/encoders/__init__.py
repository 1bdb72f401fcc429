"""Encoders, one file each: the file `pixels.py` defines the encoder `pixels`. Friendly names are in aliases.toml."""
