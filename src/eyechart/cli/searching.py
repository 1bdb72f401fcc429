"""The command that finds images: search."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eyechart.cli.options import Json, Limit, with_settings


@with_settings
def search(
    encoder: Annotated[str, typer.Option("--encoder", metavar="SPEC", help="An encoder's spec.")],
    data: Annotated[str, typer.Option("--data", metavar="SPEC", help="A data set's spec, or any folder of images.")],
    query: Annotated[
        list[str] | None, typer.Argument(metavar="[QUERY]...", help="Image files, or ids of images of the data set.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="What images should show. Repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--not", metavar="TEXT", help="What they should not show. Repeatable.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", "--k", metavar="N", help="How many to find; by default 10, or all there are.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Search one split; by default all of them.")
    ] = None,
    distance: Annotated[
        str, typer.Option("--distance", metavar="NAME", help="By default the encoder's own; cosine, euclidean, l1, ...")
    ] = "default",
    combine: Annotated[
        str, typer.Option("--combine", metavar="NAME", help="Of several queries count the mean of scores, or the max.")
    ] = "mean",
    index: Annotated[
        str,
        typer.Option("--index", metavar="NAME", help="exact, or an index of faiss: flat, ivf, hnsw or pq."),
    ] = "exact",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="A PNG file for pictures of what was found.")
    ] = None,
    limit: Limit = None,
    *,
    flags: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Find the images of a data set that are nearest to images, to words, or to both.

    Exact unless --index says otherwise. Embeddings are computed once and then come from the cache.
    """
    from eyechart.searching import search as find

    asked: Any = {"text": text or (), "without": without or (), "k": k, "split": split, "distance": distance}
    how: Any = {"combine": combine, "index": index, "sheet": sheet, "limit": limit}
    found = find(encoder, data, query or (), **asked, **how, **flags)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
        return
    from eyechart.show.terminal import print_rows

    print_rows([{"rank": hit.rank, "id": hit.id, "score": hit.score, "label": hit.label} for hit in found])
    if found.sheet is not None:
        typer.echo(f"sheet: {found.sheet}")
