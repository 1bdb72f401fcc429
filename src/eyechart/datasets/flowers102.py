"""Oxford 102 Flower: the official lists."""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._download import Archive, Download, mend, obtain_all
from eyechart.datasets._lists import listed
from eyechart.datasets._sampling import resampled
from eyechart.errors import EyechartError
from eyechart.types import Dataset

_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
ARCHIVE = Archive(
    url=f"{_URL}102flowers.tgz",
    checksum="md5:52808999861908f626f3c1f4e79d11fa",
    folder="flowers-102/jpg",
    layout="image_00001.jpg to image_08189.jpg",
    megabytes=345,
)
LABELS = Download(
    url=f"{_URL}imagelabels.mat",
    checksum="md5:e0620be6f572b9609742df49c70aed4d",
    path="flowers-102/imagelabels.mat",
    megabytes=1,
)
SPLITS = Download(
    url=f"{_URL}setid.mat",
    checksum="md5:a5357ecc9cb78c4bef273ce3793fc85c",
    path="flowers-102/setid.mat",
    megabytes=1,
)
# As torchvision lists them: the files have numbers only.
_NAMES = (
    "pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, "
    "moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear thistle, "
    "yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white arum lily, "
    "fire lily, pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers, "
    "stemless gentian, artichoke, sweet william, carnation, garden phlox, love in the mist, mexican aster, "
    "alpine sea holly, ruby-lipped cattleya, cape flower, great masterwort, siam tulip, lenten rose, "
    "barbeton daisy, daffodil, sword lily, poinsettia, bolero deep blue, wallflower, marigold, buttercup, "
    "oxeye daisy, common dandelion, petunia, wild pansy, primula, sunflower, pelargonium, bishop of llandaff, "
    "gaura, geranium, orange dahlia, pink-yellow dahlia?, cautleya spicata, japanese anemone, black-eyed susan, "
    "silverbush, californian poppy, osteospermum, spring crocus, bearded iris, windflower, tree poppy, gazania, "
    "azalea, water lily, rose, thorn apple, morning glory, passion flower, lotus, toad lily, anthurium, "
    "frangipani, clematis, hibiscus, columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress, "
    "canna lily, hippeastrum, bee balm, ball moss, foxglove, bougainvillea, camellia, mallow, mexican petunia, "
    "bromelia, blanket flower, trumpet creeper, blackberry lily"
)
CLASSES = tuple(_NAMES.split(", "))
_LISTS = {"train": "trnid", "val": "valid", "test": "tstid"}


def flowers102(*, sample: int | None = None, seed: int = 42) -> Dataset:
    """8,189 photographs of flowers in 102 classes, divided officially: 1,020 train, 1,020 val, 6,149 test.

    train and val have 10 of each class. Ids are the file names. `sample=10` (or 100) deals the 1,020 of train out
    anew, as a published comparison did: 5 train, 2 val and 3 test of each class; another `seed`, another draw.

    Found in the data folder as flowers-102/jpg (or flowers-102/102flowers.tgz), flowers-102/imagelabels.mat and
    flowers-102/setid.mat, else downloaded there (345 MB).

    Source: M.-E. Nilsback and A. Zisserman, Automated Flower Classification over a Large Number of Classes, ICVGIP
    2008 (no license stated).
    """
    folder, label_path, list_path = obtain_all(ARCHIVE, LABELS, SPLITS)
    labels = _numbers(label_path, "labels", len(CLASSES))
    files = {
        split: [
            (f"image_{number:05d}.jpg", CLASSES[labels[number - 1] - 1])
            for number in _numbers(list_path, name, len(labels)).tolist()
        ]
        for split, name in _LISTS.items()
    }
    data = listed(folder, files, CLASSES, mend(ARCHIVE))
    return resampled(data, sample, seed=seed, what="flowers102")


def _numbers(path: Path, name: str, largest: int) -> Int64[np.ndarray, " n"]:
    """Give an array of a MATLAB file, whose checksum is right: whole numbers from 1 to the largest."""
    from scipy.io import loadmat

    try:
        found = np.asarray(loadmat(path, variable_names=[name])[name]).ravel()
        numbers = found.astype(np.int64)
    except Exception as error:  # a damaged file makes scipy's reader raise nearly anything
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise EyechartError(f"{path} is no MATLAB file with numbers {name} ({reason[:80]}); {_again(path)}") from error
    if not len(numbers) or (numbers != found).any() or numbers.min() < 1 or numbers.max() > largest:
        raise EyechartError(f"{path}: {name} must be whole numbers from 1 to {largest}; {_again(path)}")
    return numbers


def _again(path: Path) -> str:
    return f"delete {path}, and the next run downloads it again."
