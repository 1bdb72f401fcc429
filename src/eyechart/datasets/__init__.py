"""Data sets, one file each: the file `digits.py` defines the data set `digits`."""
