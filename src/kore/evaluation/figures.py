"""Pictures of scores and of training; matplotlib's settings are left as they are."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from sklearn.metrics import auc, confusion_matrix, precision_recall_curve

from kore.common.arrays import Floats, Ints
from kore.common.files import atomic_write
from kore.scoring.metrics import ReliabilityBin


def korean_font() -> Path:
    """The file of NanumGothic, from the package koreanize-matplotlib.

    That package is not imported: it needs `distutils` and so fails from Python 3.12 on.
    """
    package = importlib.util.find_spec("koreanize_matplotlib")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "fonts" / "NanumGothic.ttf"


_LOCK = threading.RLock()  # matplotlib's settings are the process's


@cache
def _register_font() -> None:
    font_manager.fontManager.addfont(korean_font())


@contextmanager
def korean_text() -> Iterator[None]:
    """Inside, and in functions that it decorates, every new text can show Hangul.

    The settings of matplotlib are as before afterwards, also where several threads draw at once.
    """
    _register_font()
    with _LOCK, mpl.rc_context():
        mpl.rcParams["font.family"] = "NanumGothic"
        mpl.rcParams["axes.unicode_minus"] = False  # the font lacks it
        mpl.rcParams["text.parse_math"] = False  # a "$" in a user's label is a letter
        yield


class KoreanFigure(Figure):
    """A figure that shows Hangul whoever draws it: matplotlib makes its tick labels that late."""

    def draw(self, renderer: RendererBase) -> None:
        with korean_text():
            super().draw(renderer)

    def get_tightbbox(self, *args: Any, **kwargs: Any) -> Bbox:
        with korean_text():
            return super().get_tightbbox(*args, **kwargs)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG whole or not at all."""
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")


# Columns of a log that are drawn, whatever the task is.
_SCORES = ("micro_f1", "macro_f1", "character_f1", "auprc", "accuracy")


@korean_text()
def learning_curve(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Losses, and validation scores, against epochs.

    Args:
        history: one dict an epoch, as in `log.csv`.
    """
    epochs = [row["epoch"] for row in history]
    figure = KoreanFigure(figsize=(11, 4))
    losses, scores = figure.subplots(1, 2)
    for name in ("train_loss", "valid_loss"):
        losses.plot(epochs, [row[name] for row in history], marker="o", label=name)
    for name in (name for name in _SCORES if name in history[0]):
        scores.plot(epochs, [row[name] for row in history], marker="o", label=name)
    losses.set(title="loss", xlabel="epoch")
    scores.set(title="validation scores (x 100)", xlabel="epoch")
    _finish_curves(figure, path)


@korean_text()
def pretraining_curve(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Losses, and the share of masked tokens found, against epochs; one dict an epoch."""
    epochs = [row["epoch"] for row in history]
    figure = KoreanFigure(figsize=(11, 4))
    losses, found = figure.subplots(1, 2)
    for name in ("train_loss", "valid_loss"):
        losses.plot(epochs, [row[name] for row in history], marker="o", label=name)
    found.plot(epochs, [row["accuracy"] for row in history], marker="o", label="held-out texts")
    losses.set(title="loss of a masked token", xlabel="epoch")
    found.set(title="masked tokens found (%)", xlabel="epoch")
    _finish_curves(figure, path)


def _finish_curves(figure: Figure, path: Path) -> None:
    """Whole epochs, a legend and a grid for every plot of the figure."""
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        axes.grid(alpha=0.3)
    save_figure(figure, path)


@korean_text()
def confusion(
    gold: Ints,
    predicted: Ints,
    names: Sequence[str],
    path: Path,
    *,
    is_normalised: bool = False,
    of: tuple[str, str] = ("relation", "examples"),
) -> None:
    """Gold (rows) against predicted (columns), of the relations that occur; nothing for 0.

    Colours follow the share of the gold relation, so that rare ones can be read as well; the
    numbers are counts of examples or, with `is_normalised`, that share in per cent.

    Args:
        of: what is confused, and what is counted.
    """
    occurring = sorted({*gold.tolist(), *predicted.tolist()})
    counts = confusion_matrix(gold, predicted, labels=occurring)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [names[number] for number in occurring]
    size = 2.5 + 0.42 * len(labels)
    figure = KoreanFigure(figsize=(size + 1.5, size))
    axes = figure.subplots()
    shown = np.round(100 * shares).astype(int) if is_normalised else counts
    share_heatmap(axes, shares, shown, labels, labels, f"share of the gold {of[0]}'s {of[1]}")
    unit = f"per cent of the gold {of[0]}" if is_normalised else of[1]
    axes.set(title=f"Confusion matrix ({unit})", xlabel="predicted", ylabel="gold")
    save_figure(figure, path)


def share_heatmap(
    axes: Axes,
    shares: Floats,
    numbers: Ints,
    rows: Iterable[str],
    columns: Iterable[str],
    legend: str,
) -> None:
    """Colours for shares from 0 to 1, and numbers on them, of the same shape; none for a 0."""
    seaborn.heatmap(
        shares,
        annot=np.where(numbers, numbers.astype(str), ""),
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        xticklabels=list(columns),
        yticklabels=list(rows),
        cbar_kws={"label": legend},
        annot_kws={"size": 7},
        ax=axes,
    )


@korean_text()
def precision_recall(gold: Ints, probs: Floats, names: Sequence[str], path: Path) -> None:
    """The precision-recall curve of each relation with a gold example, the most frequent first.

    The titles have its area (times 100), of which AUPRC is the mean, and its examples.
    """
    counts = np.bincount(gold, minlength=len(names))
    shown = [number for number in np.argsort(-counts, kind="stable") if counts[number]]
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    figure = KoreanFigure(figsize=(2.6 * columns, 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for axes, number in zip(grid, shown, strict=False):
        precision, recall, _ = precision_recall_curve(gold == number, probs[:, number])
        axes.plot(recall, precision)
        axes.set_title(
            f"{names[number]}\n{100 * auc(recall, precision):.1f}   {counts[number]} examples",
            fontsize=8,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    for axes in list(grid)[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("recall")
    figure.supylabel("precision")
    save_figure(figure, path)


@korean_text()
def reliability(curves: Mapping[str, Sequence[ReliabilityBin]], path: Path) -> None:
    """Accuracy against confidence, and how many examples have which confidence.

    Args:
        curves: name -> bins, as `metrics.reliability` gives them.
    """
    figure = KoreanFigure(figsize=(5, 6))
    accuracy, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    accuracy.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    for name, bins in curves.items():
        confidence = [one.confidence for one in bins]
        accuracy.plot(confidence, [one.accuracy for one in bins], marker="o", label=name)
        counts.plot(confidence, [one.rows for one in bins], marker=".", label=name)
    accuracy.set(title="Reliability", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    accuracy.legend()
    counts.set(xlabel="highest probability", ylabel="examples", ylim=(0, None))
    for axes in (accuracy, counts):
        axes.grid(alpha=0.3)
    save_figure(figure, path)


@korean_text()
def label_f1(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A bar for the F1 of each label, and how often it is gold; rows as `labels.csv` has them."""
    ordered = sorted(rows, key=lambda row: row["gold"])
    figure = KoreanFigure(figsize=(8, 1.4 + 0.24 * len(ordered)))
    axes = figure.subplots()
    bars = axes.barh([row["label"] for row in ordered], [row["f1"] for row in ordered])
    axes.bar_label(bars, labels=[f"{row['f1']:.1f}  ({row['gold']})" for row in ordered], padding=3)
    axes.set(xlim=(0, 115), xlabel="F1 (texts in which the label is true)")
    axes.margins(y=0.01)
    save_figure(figure, path)
