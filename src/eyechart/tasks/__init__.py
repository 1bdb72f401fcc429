"""Tasks, one file each: the file `knn.py` defines the task `knn`."""
