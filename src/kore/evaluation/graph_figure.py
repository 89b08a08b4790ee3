"""A picture of the surest facts of a graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import seaborn as sns
from matplotlib.lines import Line2D

from kore.evaluation.figures import KoreanFigure, korean_text, save_figure

if TYPE_CHECKING:
    import networkx

MOST_EDGES = 40  # more are a ball of wool
_LONGEST = 20  # characters of a name


@korean_text()
def draw_graph(graph: networkx.MultiDiGraph[str], path: Path) -> None:
    """Draws the MOST_EDGES edges that most sentences state, the surer ones first among equals.

    Args:
        graph: as extraction builds it, see extraction/graph.py.
    """
    import networkx

    def rank(edge: tuple[str, str, str]) -> tuple[int, float]:
        data = graph.edges[edge]
        return -data["sentences"], -data["probability"]

    edges = sorted(graph.edges(keys=True), key=rank)[:MOST_EDGES]
    shown = graph.edge_subgraph(edges)
    size = min(16.0, 6 + 0.35 * len(shown))
    figure = KoreanFigure(figsize=(size, 0.75 * size), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    places = _places(networkx.Graph(shown))
    types = sorted({data["type"] for _, data in shown.nodes(data=True)})
    colours = dict(zip(types, sns.color_palette("pastel", len(types)), strict=True))
    networkx.draw_networkx_nodes(
        shown,
        places,
        ax=axes,
        node_color=[colours[data["type"]] for _, data in shown.nodes(data=True)],
        node_size=900,
    )
    names = {node: _shortened(data["name"]) for node, data in shown.nodes(data=True)}
    font = {"font_family": "NanumGothic", "ax": axes}
    networkx.draw_networkx_labels(shown, places, names, font_size=9, **font)
    networkx.draw_networkx_edges(
        shown, places, ax=axes, node_size=900, edge_color="0.6", connectionstyle="arc3,rad=0.08"
    )
    relations: dict[tuple[str, str], list[str]] = {}
    for start, end, relation in edges:
        relations.setdefault((start, end), []).append(relation)
    labels = {pair: "\n".join(own) for pair, own in relations.items()}
    networkx.draw_networkx_edge_labels(
        networkx.DiGraph(shown), places, labels, font_size=7, rotate=False, **font
    )
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=9, color=colours[name], label=name)
        for name in types
    ]
    axes.legend(handles=handles, loc="upper left", frameon=False)
    left_out = graph.number_of_edges() - len(edges)
    title = f"{len(edges)} facts" + (f", {left_out} more are not shown" if left_out else "")
    axes.set_title(title)
    axes.margins(0.12)
    save_figure(figure, path)


def _places(graph: networkx.Graph[str]) -> dict[str, tuple[float, float]]:
    """Places of the nodes: each connected group has a square of its own, the largest first."""
    import networkx

    groups = sorted(networkx.connected_components(graph), key=len, reverse=True)
    columns = max(1, math.ceil(len(groups) ** 0.5))
    places: dict[str, tuple[float, float]] = {}
    for number, group in enumerate(groups):
        row, column = divmod(number, columns)
        middle = (column, -row)
        own = networkx.spring_layout(graph.subgraph(group), seed=0, center=middle, scale=0.36)
        places |= {node: (float(x), float(y)) for node, (x, y) in own.items()}
    return places


def _shortened(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
