"""What encoders cost on this machine, measured now: `eyechart cost`. In a run the task `cost` keeps the same."""

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from eyechart import adopt, settings
from eyechart.case import Case
from eyechart.embedding.devices import precision
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.machine import machine
from eyechart.errors import EyechartError
from eyechart.images.reading import decode
from eyechart.registry import Bound, bind
from eyechart.types import Dataset, Facet, Images, Measure

STORED = 10_000  # images a head has stored, where no data set says how many
_PHOTOGRAPHS, _WIDTH, _HEIGHT, _CLASSES = 32, 500, 375, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What one encoder costs on this machine, or the reason why it could not be measured."""

    encoder: str
    machine: Mapping[str, Any]
    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""

    def value(self, metric: str, **facets: Facet) -> float | None:
        """Give the value of a metric with these facets, None where it was not measured."""
        for measure in self.measures:
            if measure.metric == metric and facets.items() <= measure.facets.items():
                return measure.value
        return None


def cost(encoder: Any, *, data: Any = None, **flags: Any) -> list[Cost]:
    """Measure what encoders cost, one after the other, by the task `cost`; no record is written.

    Args:
        encoder: specs or Encoders.
        data: a spec, a path, or a dict of Images: its images are what the encoders are timed on, and its train split
            says how many stored images the heads have. By default generated JPEG photographs of 500 x 375 pixels in
            ten classes, and 10,000 stored images.
        flags: settings: device, precision, batch_size, workers, cache_dir, data_dir, plugins.

    Raises:
        EyechartError: a spec or the data set is wrong. An encoder that cannot be had has a `reason` instead.
    """
    with settings.using(**flags):
        precision()  # a device that is not there stops here
        named = list(encoder) if isinstance(encoder, list | tuple) else [encoder]
        if not named:
            raise EyechartError("cost needs at least one encoder, such as --encoder dinov2_s14.")
        bound = {one.text: one for one in (adopt.bound("encoders", what) for what in named)}
        images: Dataset = photographs() if data is None else adopt.bound("datasets", data).call()
        stored = STORED if data is None else len(images.get("train", next(iter(images.values()))))
        task = bind("tasks", f"cost(stored={stored})")
        return [_measured(one, images, task) for one in bound.values()]


def _measured(encoder: Bound, images: Dataset, task: Bound) -> Cost:
    here = machine()
    try:
        case = Case(encoder=load_encoder(encoder), data=images, task=task.text, label=encoder.label)
        measures = tuple(task.entry.load()(case, **task.options))
    except EyechartError as error:
        return Cost(encoder=encoder.label, machine=here, reason=str(error))
    return Cost(encoder=encoder.label, machine=here, measures=measures, notes=tuple(case.notes))


def photographs() -> Dataset:
    """Give generated JPEG photographs, smooth with a little grain, so that reading one costs what reading one does."""
    contents = [_photograph(number) for number in range(_PHOTOGRAPHS)]
    images = Images(
        hashes=np.frombuffer(b"".join(hashlib.sha256(c).digest() for c in contents), np.uint8).reshape(-1, 32),
        load=lambda row: decode(contents[row]),
        labels=np.arange(_PHOTOGRAPHS) % _CLASSES,
        classes=tuple(f"class-{number}" for number in range(_CLASSES)),
        ids=tuple(f"photograph-{number:02d}" for number in range(_PHOTOGRAPHS)),
    )
    return {"train": images, "test": images}


def _photograph(number: int) -> bytes:
    rng = np.random.default_rng(number)
    rough = Image.fromarray(rng.integers(0, 256, (_HEIGHT // 25, _WIDTH // 25, 3), dtype=np.uint8))
    smooth = np.asarray(rough.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 6, smooth.shape)
    buffer = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
