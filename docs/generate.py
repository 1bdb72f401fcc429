"""Write the pages that state what the program says of itself: `python docs/generate.py`. A test holds them current."""

import dataclasses
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from eyechart import catalog, study
from eyechart.cards import Card, cards, papers
from eyechart.registry import KINDS, entries
from eyechart.specs import literal

HERE = Path(__file__).parent
TITLES = {"encoders": "Encoders", "datasets": "Data sets", "tasks": "Tasks"}


def commands() -> Iterator[tuple[str, ...]]:
    """Give the words of every command: the program's own first, then each as it is registered."""
    from typer.main import get_command

    from eyechart.cli import app

    found: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    for words, command in found:  # grows while it is read
        inner = getattr(command, "commands", {})
        found += [((*words, name), one) for name, one in inner.items()]
        if not inner or not words:
            yield words


def help_text(*command: str) -> str:
    """Give what --help prints."""
    from eyechart.cli import app

    caught = io.StringIO()
    with redirect_stdout(caught):
        app([*command, "--help"], standalone_mode=False, prog_name="eyechart")
    return "\n".join(line.rstrip() for line in caught.getvalue().strip().splitlines())


def commands_page() -> str:
    """Give the page of commands and flags."""
    parts = ["# Commands\n\nThis page is written by `python docs/generate.py`.\n"]
    for command in commands():
        name = " ".join(("eyechart", *command))
        parts += [f"## {name}\n\n```\n{help_text(*command)}\n```\n"]
    return "\n".join(parts)


def names_page() -> str:
    """Give the page of encoders, data sets, tasks, studies and metrics."""
    parts = [
        "# Names\n\nEverything that can be typed after `--encoder`, `--data`, `--task`, and as a study or a metric. "
    ]
    parts.append("This page is written by `python docs/generate.py`.\n")
    for kind in KINDS:
        parts.append(f"\n## {TITLES[kind]}\n")
        for entry in entries(kind).values():
            function = entry.function
            argument = f":{function.argument.upper()}" if function.argument else ""
            parts.append(f"\n### {entry.name}{argument}\n\n{function.doc}\n")
            if function.options:
                parts.append("\n| option | default |\n|---|---|\n")
                parts += [f"| `{option.name}` | `{literal(option.default)}` |\n" for option in function.options]
        if kind == "encoders":
            parts.append("\n### Friendly names\n\nEach stands for a spec above and takes its options; ")
            parts.append("[encoders.md](encoders.md) says what is known of the weights.\n\n")
            parts.append(f"{', '.join(f'`{name}`' for name in cards())}\n")
    parts.append("\n## Studies\n")
    for name in study.names():
        fields = dataclasses.asdict(study.read_study(name))
        listed = "".join(
            f"- {key}: {', '.join(f'`{v}`' for v in fields[key])}\n" for key in ("encoders", "data", "tasks")
        )
        parts.append(f"\n### {name}\n\n{fields['about']}\n\n{listed}")
    parts.append("\n## Metrics\n\n| name | meaning | unit | range | better |\n|---|---|---|---|---|\n")
    parts += [
        f"| {name} | {m['about']} | {m['unit']} | {m['range'][0]} to {m['range'][1]} | {m['better']} |\n"
        for name, m in catalog.metrics().items()
    ]
    return "".join(parts)


ENCODERS = """# Encoders by name

This page is written by `python docs/generate.py`.

A friendly name stands for one set of published weights, with size, crop and feature as its library states them, which
need not be those of the authors' own evaluation (DINOv2 was evaluated at 224 px, timm states 518; DINO's and MAE's
authors cut out 224 of 256, timm 224 of 248): `eyechart list encoders` names them all, `eyechart show encoder NAME`
prints a card without downloading anything, and `eyechart run --dry-run` says licenses and sizes of what a run may
download. A name takes the options of its plugin, as in `dinov2_b14(size=224, pool="mean")`.

- **parameters** are millions of the backbone, without classifier and without the tower for texts.
- **year** is that in which the paper appeared first; of several papers the first is the one that made the weights.
- **labels** names the data whose labels the weights have seen, by training or by fine-tuning; "none" means none.
  Texts from the web are no labels.
- **data** are the images the weights were trained on.
- **crop** is the share of the image's short side that is seen, scaled to size x size; "whole" scales all of the image
  to that, whatever its shape.

Licenses are those that the hub or library states. What is loaded comes from the hub or server that the library names.
A hub can put other files under the same name, and no name here pins a revision: the commit that was loaded is stated
in the record where the hub's cache knows it, and the hash of the weights is part of every key, so that other weights
make other results and never pass for the same ones.

## Any other

Whatever these libraries build is an encoder, too; [names.md](names.md#encoders) has the options of each.

```bash
eyechart run --data ./photos --encoder 'timm:vit_base_patch16_224.mae(pool="mean")'
eyechart run --data ./photos --encoder open_clip:ViT-B-32/laion2b_s34b_b79k --encoder torchvision:resnet50/IMAGENET1K_V2
eyechart run --data ./photos --encoder hf:facebook/dinov2-with-registers-small  # pip install 'eyechart[hf]'
eyechart run --data ./photos --encoder 'onnx:model.onnx(size=224)'  # pip install 'eyechart[onnx]'
eyechart run --data ./photos --encoder checkpoint:runs/mine  # what training wrote
```

`pool="gem"`, `pool="tokens4"` (the class tokens of the last four blocks) and `layer=` are options of `timm:`. Text goes
into the same space where an encoder has a tower for it:

```python
from eyechart.embedding.loading import load_encoder
from eyechart.registry import bind

clip = load_encoder(bind("encoders", "clip_b32"))
clip.text(["a photo of a dog", "a photo of a cat"])  # float32 [2, 512]
```

On a CPU `--backend openvino` (`pip install 'eyechart[openvino]'`) computes torch networks faster. Without it float32
products are those that torch calls precision "medium" where they are as exact, which is where that is another library
and not bfloat16: a small product shows it, once per process, and `eyechart doctor` says which
([measured.md](measured.md#embedding-beside-timm-a-dataloader-and-torchvision)).

## Groups and training images

`eyechart compare --by FIELD`, `report --by FIELD` and `table --by FIELD` put encoders together by a field of their
cards ([comparing.md](comparing.md#groups-of-encoders)): {fields}.

Cards also say which data sets of eyechart are among the training images. `run`, `table`, `compare` and `report` name
the encoders that were trained on images of the data set they are tested on, and whether with labels. ImageNet counts
for the sets that take images from it, which their files state (`PART_OF`). LVD-142M also holds images from the web
that were picked for their likeness to the training images of {resembled};
near-duplicates of their test images were taken out. Of what was collected from the web without such a list nothing is
said, and nothing follows from that.
"""

NOT_HERE = """
## Not here

A name is given to weights that their authors or a maintained library publish. Others are loaded from a file, whose
hash is part of the key.

**iBOT** (Zhou et al., ICLR 2022): the authors' server has the files, without checksums. The teacher's backbone
(`checkpoint_teacher.pth`) has the names of timm's tensors:

```bash
eyechart run --data ./photos --encoder 'timm:vit_base_patch16_224.dino(weights="checkpoint_teacher.pth")'
```

**MaskFeat** (Wei et al., CVPR 2022): the authors' files have no checksums, and mmpretrain, which has a ViT-B with
one, is hardly maintained. Its tensors have other names than timm's:

```python
import torch
from safetensors.torch import save_file

names = {"layers.": "blocks.", ".ln": ".norm", ".ffn.layers.0.0.": ".mlp.fc1.", ".ffn.layers.1.": ".mlp.fc2."}
state = {}
for name, tensor in torch.load("maskfeat.pth", map_location="cpu", weights_only=True)["state_dict"].items():
    if not name.startswith("backbone.") or name == "backbone.mask_token":
        continue  # of the pretraining alone
    name = name.removeprefix("backbone.").replace("projection.", "proj.")
    if name.startswith("ln1."):
        name = name.replace("ln1.", "norm.")
    for theirs, ours in names.items():
        name = name.replace(theirs, ours, 1)
    state[name] = tensor.contiguous()
save_file(state, "maskfeat.safetensors")
```

```bash
eyechart run --data ./photos --encoder 'timm:vit_base_patch16_224.mae(weights="maskfeat.safetensors", pool="mean")'
```

Both were tried with files of these layouts, not with the published ones.
"""


COLUMNS = (
    *("name", "stands for", "backbone", "dim", "size", "crop", "interpolation", "activation", "parameters"),
    *("data", "year", "license", "objective", "labels"),
)


def encoders_page() -> str:
    """Give the page of the cards of encoders."""
    from eyechart.cards import fields

    known = list(cards().values())
    resembled = sorted({name for card in known for name in card.resembles})
    listed = (", ".join(f"`{name}`" for name in names) for names in (fields(), resembled))
    parts = [ENCODERS.format(**dict(zip(("fields", "resembled"), listed, strict=True)))]
    families = dict.fromkeys(card.family for card in known)
    parts += [family_section(family, [card for card in known if card.family == family]) for family in families]
    cited = dict.fromkeys(key for card in known for key in card.cite)
    bibtex = "\n\n".join(papers()[key].bibtex for key in cited)
    return "".join([*parts, NOT_HERE, f"\n## BibTeX\n\n```bibtex\n{bibtex}\n```\n"])


def family_section(family: str, members: list[Card]) -> str:
    """Give the cards of a family as a table."""
    lines = [f"\n## {family[0].upper()}{family[1:]}\n", f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"]
    for card in members:
        crop = "whole" if card.crop_mode == "squash" else f"{card.crop_pct:g}"
        seen = (card.size, crop, card.interpolation, card.activation)
        data = f"{card.corpus}, {million(card.images)} images" if card.images else "none"
        cells = (card.name, f"`{card.spec}`", card.backbone, card.dim, *seen, f"{card.parameters:g} M", data)
        row = (*cells, card.year or "", card.license, card.objective, card.labels)
        lines.append(f"| {' | '.join(map(str, row))} |\n")
    normalized = dict.fromkeys((card.mean, card.std) for card in members)
    lines.append(f"\nNormalized with {'; or '.join(' and '.join(map(str, both)) for both in normalized)}.\n")
    cite = members[0].cite
    return "".join([*lines, f"\nCite {', '.join(f'`{key}`' for key in cite)}.\n" if cite else ""])


def million(images: int) -> str:
    """Give a number of images in words."""
    return f"{images / 1e6:,.0f} M" if images >= 1e8 else f"{images / 1e6:.2g} M"


PAGES = {"commands.md": commands_page, "names.md": names_page, "encoders.md": encoders_page}


def main() -> int:
    """Write every page."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
