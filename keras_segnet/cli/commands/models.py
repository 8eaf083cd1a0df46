"""`keras-segnet models`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.screen import console

if TYPE_CHECKING:
    from keras_segnet.models import Network, NetworkSummary

PAGE = """\
# Networks

`keras_segnet.build(NAME, num_classes=11)` builds each, `keras-segnet train --model NAME` trains it. Every one takes any
image size, saves, exports and passes the same tests (tests/models/test_every_network.py).

{table}

Of 11 classes, at 360x480. Parameters are those that training changes, in millions; "published" is what the source says.
Multiply-adds of one image, in thousands of millions, are those of convolutions, transposed convolutions and dense
layers. The receptive field, in pixels, is that of a unit at the encoder's deepest place. All are computed from the
built networks; `keras-segnet models --markdown` prints this page.
"""

HEADINGS = (
    "name",
    "what it is",
    "source",
    "parameters, M",
    "published, M",
    "multiply-adds, G",
    "receptive field",
)
TEXTS = 3
"""Number of leading columns that hold words; the others hold figures."""


def models(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table in Markdown, as the page docs/networks.md.")
    ] = False,
) -> None:
    """List the networks, with their parameters, multiply-adds and receptive fields.

    The figures are for 11 classes at 360x480, computed from the built networks.

    Example: `keras-segnet models`
    """
    from keras_segnet.models import NETWORKS
    from keras_segnet.models.graph import summarize_network

    networks = screen.Screen()(NETWORKS.values(), len(NETWORKS), "Building")
    rows = [table_row(network, summarize_network(network)) for network in networks]
    if markdown:
        print(PAGE.format(table=markdown_table(rows)), end="")
    else:
        console.print(screen.networks_table(HEADINGS[TEXTS:], ((row[:TEXTS], row[TEXTS:]) for row in rows)))


def table_row(network: Network, summary: NetworkSummary) -> tuple[str, ...]:
    """What the table says of a network, a text for each of `HEADINGS`."""
    rows, columns = summary.receptive_field
    return (
        network.name,
        network.summary,
        network.source,
        f"{summary.parameters / 1e6:.3f}",
        "" if network.published_parameters is None else f"{network.published_parameters:g}",
        f"{(summary.multiply_adds or math.nan) / 1e9:.2f}",
        "whole image" if math.isinf(rows) else f"{rows:.0f}x{columns:.0f}",
    )


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """The rows as a table in Markdown."""
    alignment = ["---"] * TEXTS + ["---:"] * (len(HEADINGS) - TEXTS)
    lines = [HEADINGS, alignment, *((f"`{row[0]}`", *row[1:]) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
