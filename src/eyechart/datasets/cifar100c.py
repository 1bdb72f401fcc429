"""CIFAR-100-C: how much corruptions of the test images hurt."""

from typing import Literal

from eyechart.datasets._cifar_c import corrupted, unfinished
from eyechart.datasets._corrupted import ask
from eyechart.datasets._download import Archive, look_for
from eyechart.datasets.cifar100 import ARCHIVE as CLEAN
from eyechart.datasets.cifar100 import cifar100
from eyechart.types import Dataset

PART_OF = ("cifar100",)
ARCHIVE = Archive(
    url="https://zenodo.org/records/3555552/files/CIFAR-100-C.tar?download=1",
    checksum="md5:11f0ed0f1191edbf9fa23466ae6021d3",
    folder="CIFAR-100-C",
    layout="<corruption>.npy of 19 corruptions (50,000 images each, the mildest severity first), labels.npy",
    megabytes=2918,
)


def cifar100c(
    *,
    corruptions: Literal["all", "common"] | tuple[str, ...] = "all",
    severities: tuple[int, ...] = (1, 2, 3, 4, 5),
    seed: int = 42,
) -> Dataset:
    """CIFAR-100 with 95 more splits, test/<corruption>/<severity>: its 10,000 test images, corrupted.

    train, val and test are those of `cifar100(seed=seed)`, embedded once for both. The corrupted images have the ids of
    the clean ones. There are 19 corruptions; "common" are the 15 of the paper's figures, without speckle_noise,
    gaussian_blur, spatter and saturate. `corruptions=("fog", "snow")` and `severities=(1, 3)` take some.

    Found in the data folder as CIFAR-100-C or CIFAR-100-C.tar, else downloaded there (2.9 GB). Of "all" and "common",
    corruptions whose file is not there are named and left out; one that is named must be there. labels.npy may have
    the labels of the test once or five times, and must equal those of the clean test. The first opening reads all
    files to know their images; another takes less than a second.

    Source: D. Hendrycks and T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations, ICLR 2019 (CC BY 4.0).
    """
    asked = ask(ARCHIVE.folder, corruptions, severities)
    look_for(CLEAN, ARCHIVE, hint=unfinished(ARCHIVE))
    return corrupted(ARCHIVE, cifar100(seed=seed), asked)
