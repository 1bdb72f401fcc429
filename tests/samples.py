"""Small images, folders and encoders for the tests."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyechart.errors import EyechartError
from eyechart.images.views import from_arrays
from eyechart.types import Encoder, Transform


@contextlib.contextmanager
def refuses(*words):
    """Expect an error a user can fix: one line that holds all the words."""
    with pytest.raises(EyechartError) as caught:
        yield caught
    text = str(caught.value)
    assert "\n" not in text
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} should be in: {text}"


def refused(result, *words):
    """Expect what a command gave to be a refusal: exit code 2 and one line that holds all the words."""
    code, _, err = result
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2, err
    assert "Traceback" not in err
    assert len(said) == 1, err
    for word in words:
        assert word in said[0], said[0]


def picture(seed, height=8, width=8, channels=3):
    """A random image: [h, w, 3], or [h, w] for no channels."""
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(seed, height, width):
    """A random image without fine detail, as photographs are."""
    rough = Image.fromarray(picture(seed, max(2, height // 8), max(2, width // 8)))
    return np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels, kind, **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_images(root, names, *, size=8, first_seed=0):
    """Write one different image under each name, in the format the name says. Images of a folder have its color."""
    parents = sorted({str(Path(name).parent) for name in names})
    for number, name in enumerate(names):
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tint = np.random.default_rng(parents.index(str(Path(name).parent))).integers(0, 200, 3, dtype=np.uint8)
        Image.fromarray(picture(first_seed + number, size, size) // 5 + tint).save(path)
    return Path(root)


def photos(root, *, classes=("cat", "dog"), n=10, size=8, first_seed=0):
    """Write `root/<class>/<number>.png`, n of each class."""
    names = [f"{name}/{number:03d}.png" for name in classes for number in range(n)]
    return write_images(root, names, size=size, first_seed=first_seed)


def clusters(seed=0, n=30, d=8, classes=3):
    """Rows around one center for each class, and their labels: float32 [n, d], int64 [n]."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % classes).astype(np.int64)
    x = rng.standard_normal((classes, d))[y] * 2 + rng.standard_normal((n, d))
    return x.astype(np.float32), y


def toy(n=12, *, classes=("a", "b"), size=8, seed=0, groups=None, name="toy"):
    """Images in memory, of alternating classes that can be told apart."""
    labels = np.arange(n) % len(classes)
    pixels = np.stack([picture([seed, i], size, size) for i in range(n)]) // 4
    pixels += (labels * (190 // len(classes))).astype(np.uint8)[:, None, None, None]
    images = from_arrays(pixels, labels, classes=classes, ids=[f"{name}-{i:03d}" for i in range(n)])
    if groups is None:
        return images
    import dataclasses

    return dataclasses.replace(images, groups=tuple(groups))


def toy_data(n=12, **options):
    """A data set of three splits in memory."""
    return {split: toy(n, seed=i, name=split, **options) for i, split in enumerate(("train", "val", "test"))}


def mean_color(batch):
    """The simplest of encoders: the mean of each channel, and of the two halves."""
    halves = np.concatenate([batch[:, : batch.shape[1] // 2].mean((1, 2)), batch.mean((1, 2))], axis=1)
    return (halves / 255).astype(np.float32)


def plain_encoder(**changes):
    """An Encoder object with a key."""
    return Encoder(**({"dim": 6, "forward": mean_color, "transform": Transform(size=4), "key": "plain"} | changes))


PLUGIN = '''
import numpy as np
from eyechart import Encoder, Transform


def tint(*, gain: float = 1.0, version: int = 1) -> Encoder:
    """The mean color."""

    def forward(batch):
        return (batch.mean((1, 2)) * gain / 255).astype(np.float32)

    return Encoder(dim=3, transform=Transform(size=4), forward=forward)
'''


def run_python(code, *arguments, timeout=120, **environment):
    """Run code in another Python process, and give what it did. `samples` can be imported in it."""
    paths = os.pathsep.join([str(Path(__file__).parent), str(environment.pop("PYTHONPATH", ""))]).rstrip(os.pathsep)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths} | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output_of(code, *arguments, **environment):
    """What the code prints in another Python process that must end well."""
    done = run_python(code, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
