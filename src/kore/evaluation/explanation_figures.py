"""Pictures of one explanation: attention as a heatmap, the words' attributions as bars."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kore.data.schema import Role
from kore.evaluation import figures
from kore.evaluation.explanation import Explanation, Part

FOR, AGAINST = "#2166ac", "#b2182b"  # told apart by the colour-blind as well
LABEL_BOXES: dict[Role, str] = {"subject": "#fdd49e", "object": "#c7e9c0"}
_CELL = 0.17  # inches a token takes, enough for its name
_TALL_WORD = 0.2


def printable(text: str) -> str:
    """`text` without control characters, which could steer a terminal or break a line."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


@figures.korean_text()
def attention_heatmap(explanation: Explanation, layer: int | None, path: Path) -> None:
    """From which token (rows) attention goes to which (columns), the mean over heads.

    The picture grows with the number of tokens, so that their names can be read.
    """
    assert explanation.attention is not None
    size = max(4.5, _CELL * len(explanation.tokens))
    figure = figures.KoreanFigure(figsize=(size + 2, size + 1))
    axes = figure.subplots()
    # By square roots: a few tokens, such as [SEP], draw most of the attention.
    image = axes.imshow(explanation.attention, cmap="Blues", norm=PowerNorm(0.5, vmin=0))
    _name_parts(axes.xaxis, explanation.tokens, rotation=90)
    _name_parts(axes.yaxis, explanation.tokens)
    axes.set(xlabel="attended to", ylabel="attends")
    layers = "all layers" if layer is None else f"layer {layer}"
    title = f"{_title(explanation)}\nattention, mean over the heads of {layers}"
    axes.set_title(title)
    _legend(axes)
    figure.colorbar(image, ax=axes, label="attention", fraction=0.03, pad=0.02)
    _save(figure, path)


@figures.korean_text()
def attribution_bars(explanation: Explanation, path: Path) -> None:
    """What each word adds to the log probability of the relation, in the order of the text."""
    words = [word for word in explanation.words if word.is_read]
    figure = figures.KoreanFigure(figsize=(8, 1.5 + max(2, _TALL_WORD * len(words))))
    axes = figure.subplots()
    values = [word.attribution for word in words]
    axes.barh(range(len(words)), values, color=[FOR if v >= 0 else AGAINST for v in values])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_ylim(len(words) - 0.5, -0.5)  # the first word on top
    _name_parts(axes.yaxis, words)
    axes.set_xlabel(f"added to the log probability of {printable(explanation.relation)}")
    axes.set_title(_title(explanation))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    _legend(axes)
    _save(figure, path)


def _title(explanation: Explanation) -> str:
    probability = explanation.probs[explanation.relation]
    return printable(f"example {explanation.id[:40]}: {explanation.relation} ({probability:.1%})")


def _name_parts(axis: Axis, parts: Sequence[Part], rotation: float = 0) -> None:
    axis.set_ticks(range(len(parts)), [printable(part.text) for part in parts])
    for label, part in zip(axis.get_ticklabels(), parts, strict=True):
        label.set(fontsize=8, rotation=rotation)
        if part.role:
            label.set_bbox({"facecolor": LABEL_BOXES[part.role], "edgecolor": "none", "pad": 1})


def _legend(axes: mpl.axes.Axes) -> None:
    patches = [Patch(facecolor=colour, label=role) for role, colour in LABEL_BOXES.items()]
    axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _save(figure: Figure, path: Path) -> None:
    with warnings.catch_warnings():
        # A letter that the font lacks, an emoji say, is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figures.save_figure(figure, path)
