"""Classify images by the names of their classes alone, with an encoder that reads texts.

Runs offline, on pictures drawn here: the encoder sees the mean color of a picture, and reads the colors in a text. With
photographs, `encoder` is "clip_b32" or "siglip2_b16", and `data` a folder.
"""

import json
from pathlib import Path

import numpy as np
from PIL import ImageColor

import eyechart as ec

NAMES = {"c1": "red", "c2": "orange", "c3": "blue", "c4": "purple", "c5": "green"}  # what the classes' codes stand for
GRAY = 128


def see(batch: np.ndarray) -> np.ndarray:
    return (batch.mean(axis=(1, 2)) - GRAY).astype(np.float32)


def read(lines: list[str]) -> np.ndarray:
    words = [[word for word in line.strip(".").split() if word in ImageColor.colormap] for line in lines]
    return np.array([np.mean([ImageColor.getrgb(word) for word in each], axis=0) - GRAY for each in words], np.float32)


rng = np.random.default_rng(0)
labels = np.arange(100) % len(NAMES)
colors = np.array([ImageColor.getrgb(name) for name in NAMES.values()])[labels]
lit = colors + rng.normal(0, 60, (len(labels), 3))  # in light of all colors
pixels = (lit[:, None, None] + rng.normal(0, 30, (len(labels), 16, 16, 3))).clip(0, 255).astype(np.uint8)
test = ec.from_arrays(pixels, labels, classes=list(NAMES), ids=[f"picture-{number}" for number in range(len(labels))])

out = Path("runs/example-zeroshot")
out.mkdir(parents=True, exist_ok=True)
names = out / "names.json"
names.write_text(json.dumps(NAMES))
found = ec.run(
    encoder=[ec.Encoder(dim=3, transform=ec.Transform(size=16), forward=see, text=read, key="mean-color-1")],
    data=[{"test": test}],  # no image to train on
    task=[
        f'zeroshot(names_file="{names}")',
        f'zeroshot(templates=("a {{}} thing", "a {{}} and white thing"), names_file="{names}")',
    ],
    out=out,
)
for record in found.records:
    accuracy = next(measure for measure in record.measures if measure.metric == "accuracy")
    print(f"{record.task}: accuracy {accuracy.value:.2f}, 95 % interval {accuracy.low:.2f} to {accuracy.high:.2f}")
    for note in record.notes:
        print(f"  {note}")
