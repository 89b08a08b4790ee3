"""Pictures of a data set, each a matplotlib Figure of its examples; `summary` has the numbers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from wordcloud import WordCloud

from kore.common.files import atomic_write
from kore.data.schema import Example, Role, entity_distance
from kore.evaluation.figures import (
    KoreanFigure,
    korean_font,
    korean_text,
    save_figure,
    share_heatmap,
)
from kore.inspection import summary as data_summary
from kore.inspection.lengths import MAX_LENGTHS, coverage, length_encoder, quantiles, token_counts

_LOGGER = logging.getLogger(__name__)

_COLUMNS = 5  # of small multiples
_CLOUD_WORDS = 60
_MOST_SHOWN = 60  # relations, sources or pairs in a picture
_FARTHEST = 99  # per cent of the examples that a histogram with a long tail shows


def draw_all(examples: Sequence[Example], tokens: Sequence[int], folder: Path) -> list[Path]:
    """Draws every picture and writes them and summary.json to `folder`; returns their paths.

    Args:
        tokens: as `count_tokens` gives them.

    Raises:
        UserError: a file cannot be written.
    """
    drawings: dict[str, Callable[[], Figure]] = {
        "lengths": lambda: sentence_lengths(examples, tokens),
        "sources": lambda: sources(examples),
        "positions": lambda: positions(examples),
    }
    of_labels: dict[str, Callable[[], Figure]] = {
        "labels": lambda: label_distribution(examples),
        "type_pairs": lambda: type_pairs(examples),
        "subjects": lambda: word_clouds(examples, "subject"),
        "objects": lambda: word_clouds(examples, "object"),
        "conflicts": lambda: conflicts(examples),
    }
    if any(row.label is not None for row in examples):
        drawings |= of_labels
    else:
        _LOGGER.info(f"The data has no labels: {', '.join(of_labels)} are not drawn")
    written = []
    for name, draw in drawings.items():
        written.append(folder / f"{name}.png")
        save_figure(draw(), written[-1])
    written.append(folder / "summary.json")
    with atomic_write(written[-1]) as file:
        json.dump(summary(examples, tokens), file, indent=2, ensure_ascii=False)
        file.write("\n")
    return written


def count_tokens(examples: Sequence[Example], tokenizer: str = "") -> list[int]:
    """Tokens of every example, markers included; see `lengths.length_encoder`."""
    return token_counts(length_encoder(tokenizer, examples), examples)


def summary(examples: Sequence[Example], tokens: Sequence[int]) -> dict[str, Any]:
    """The numbers behind the pictures."""
    pairs = data_summary.type_pairs(examples)
    conflicting = data_summary.conflicting_labels(examples)
    return {
        "rows": len(examples),
        "labels": data_summary.label_counts(examples),
        "sources": data_summary.source_counts(examples),
        "type_pairs": {name: int(count) for name, count in pairs.sum().items()},
        "characters": quantiles([len(row.sentence) for row in examples]),
        "tokens": quantiles(tokens),
        "covered_by_max_length": coverage(tokens),
        "characters_between_entities": quantiles([entity_distance(row) for row in examples]),
        "subject_first": data_summary.subjects_first(examples),
        "conflicts": [[*names, count] for names, count in conflicting.items()],
    }


@korean_text()
def label_distribution(examples: Sequence[Example]) -> Figure:
    """Examples of each relation, and their share in per cent."""
    counts = data_summary.label_counts(examples)
    return _bars(counts, len(examples), f"Relations of {len(examples):,} examples")


@korean_text()
def sources(examples: Sequence[Example]) -> Figure:
    """Examples of each source, and their share in per cent."""
    counts = data_summary.source_counts(examples)
    return _bars(counts, len(examples), "Sources")


@korean_text()
def sentence_lengths(examples: Sequence[Example], tokens: Sequence[int]) -> Figure:
    """Histograms of characters and of tokens, with lengths that max_length may have."""
    figure = KoreanFigure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _histogram(left, [len(row.sentence) for row in examples], "characters of the sentence")
    longest = int(max(MAX_LENGTHS) * 1.05)
    _histogram(right, tokens, "tokens, markers included", longest)
    for most, share in zip(MAX_LENGTHS, coverage(tokens).values(), strict=True):
        right.axvline(most, color="firebrick", linestyle="--", linewidth=1)
        right.text(
            most, 0.97, f" {most}: {100 * share:.1f} %", transform=right.get_xaxis_transform(),
            rotation=90, va="top", ha="right", fontsize=9, color="firebrick",
        )  # fmt: skip
    return figure


@korean_text()
def type_pairs(examples: Sequence[Example]) -> Figure:
    """Examples of each relation with each pair of entity types; colours are its shares.

    Only the most frequent ones of many relations and pairs.
    """
    table = data_summary.type_pairs(examples).iloc[:_MOST_SHOWN]
    table = table[table.sum().nlargest(_MOST_SHOWN).index.sort_values()]
    counts = table.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = (4 + 0.75 * table.shape[1], 2 + 0.32 * table.shape[0])
    figure = KoreanFigure(figsize=size, layout="constrained")
    axes = figure.subplots()
    share_heatmap(
        axes, shares, counts, table.index, table.columns, "share of the relation's examples"
    )
    axes.tick_params(axis="x", rotation=45)
    axes.set(title="Types of subject and object", xlabel="", ylabel="")
    return figure


@korean_text()
def word_clouds(examples: Sequence[Example], role: Role) -> Figure:
    """The most frequent subjects, or objects, of each relation."""
    words = dict(islice(data_summary.words_by_relation(examples, role).items(), _MOST_SHOWN))
    rows = -(-len(words) // _COLUMNS)
    figure = KoreanFigure(figsize=(2.9 * _COLUMNS, 2.1 * rows), layout="constrained")
    grid = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes, (relation, counts) in zip(grid, words.items(), strict=False):
        cloud = WordCloud(
            font_path=str(korean_font()),
            width=420,
            height=260,
            background_color="white",
            colormap="viridis",
            max_words=_CLOUD_WORDS,
            random_state=0,
        ).generate_from_frequencies(counts)
        axes.imshow(cloud.to_array(), interpolation="bilinear")
        axes.set_title(f"{relation}  ({counts.total():,})", fontsize=9)
    for axes in grid:
        axes.set_axis_off()
    figure.suptitle(f"{role.capitalize()}s of each relation")
    return figure


@korean_text()
def positions(examples: Sequence[Example]) -> Figure:
    """How far the entities lie apart, and where in the sentence they begin."""
    figure = KoreanFigure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    distances = [entity_distance(row) for row in examples]
    _histogram(left, distances, "characters between the entities")
    roles: tuple[Role, Role] = ("subject", "object")
    for role in roles:
        places = [data_summary.entity_position(row, role) for row in examples]
        right.hist(places, bins=20, range=(0, 1), histtype="step", linewidth=2, label=role)
    first = data_summary.subjects_first(examples)
    right.set(
        title=f"The subject comes first in {100 * first / len(examples):.1f} % of the examples",
        xlabel="beginning of the entity (0 = start, 1 = end of the sentence)",
        ylabel="examples",
    )
    right.legend()
    return figure


@korean_text()
def conflicts(examples: Sequence[Example]) -> Figure:
    """Different labels of the same sentence, subject and object."""
    pairs = data_summary.conflicting_labels(examples)
    if not pairs:
        figure = KoreanFigure(figsize=(6, 1.2))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.text(
            0.5,
            0.5,
            "No conflicting labels: the same sentence, subject and object always have the same one",
            ha="center",
        )
        return figure
    counts = {f"{one} / {other}": count for (one, other), count in pairs.items()}
    return _bars(counts, None, "Conflicting labels of one sentence, subject and object")


def _bars(counts: dict[str, int], total: int | None, title: str) -> Figure:
    """Horizontal bars with their counts, and with shares of `total` in per cent."""
    names = list(counts)[:_MOST_SHOWN][::-1]
    figure = KoreanFigure(figsize=(9, 1 + 0.28 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [counts[name] for name in names])
    texts = [
        f"{counts[name]:,}" + (f"  ({100 * counts[name] / total:.1f} %)" if total else "")
        for name in names
    ]
    axes.bar_label(bars, texts, padding=3, fontsize=9)
    axes.margins(x=0.18, y=0.01)
    axes.set(title=title, xlabel="examples")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _histogram(axes: Axes, values: Sequence[int], name: str, most: int | None = None) -> None:
    """Of values up to `most`; by default without the highest hundredth, a long tail."""
    if most is None:
        most = int(np.percentile(values, _FARTHEST))
    axes.hist(values, bins=40, range=(0, max(1, most)))
    middle = np.median(values)
    axes.axvline(middle, color="black", linewidth=1)
    axes.set(
        title=f"{name}: median {middle:.0f}, longest {max(values)}", xlabel=name, ylabel="examples"
    )
