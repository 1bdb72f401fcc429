"""What is to be said against numbers: images seen in training, by the cards there are now, and broken features."""

from collections.abc import Mapping, Sequence

from eyechart.cards import overlaps
from eyechart.results.doubts import doubts
from eyechart.types import Record


def seen(records: Sequence[Record], names: Mapping[str, str]) -> list[str]:
    """Give a line for each data set of which some encoder was trained on images, and the doubts about encoders.

    `names` are by record id.
    """
    return [*overlaps((names[record.id], *_specs(record)) for record in records), *doubts(records, names)]


def _specs(record: Record) -> tuple[str, str, str]:
    encoder, data, task = (str(record.bound[part]) for part in ("encoder", "data", "task"))
    return encoder, data, task
