"""Pictures of scores, drawn without a display and without touching a notebook's."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn
from matplotlib import font_manager
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from files import atomic_write
from metrics import Ints, ReliabilityBin


def use_korean_font() -> None:
    """Lets every picture show Hangul, whatever fonts the system has.

    Takes NanumGothic from the package koreanize-matplotlib without importing that package, which
    needs `distutils` and so fails from Python 3.12 on.
    """
    package = importlib.util.find_spec("koreanize_matplotlib")
    assert package is not None
    assert package.origin is not None
    font_manager.fontManager.addfont(Path(package.origin).parent / "fonts" / "NanumGothic.ttf")
    mpl.rcParams.update({"font.family": "NanumGothic", "axes.unicode_minus": False})


use_korean_font()


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG whole or not at all."""
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")


def learning_curve(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Losses, and validation scores, against epochs.

    Args:
        history: one dict an epoch, as in `log.csv`.
    """
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(11, 4))
    losses, scores = figure.subplots(1, 2)
    for name in ("train_loss", "valid_loss"):
        losses.plot(epochs, [row[name] for row in history], marker="o", label=name)
    for name in ("micro_f1", "auprc", "accuracy"):
        scores.plot(epochs, [row[name] for row in history], marker="o", label=name)
    losses.set(title="loss", xlabel="epoch")
    scores.set(title="validation scores (x 100)", xlabel="epoch")
    for axes in (losses, scores):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        axes.grid(alpha=0.3)
    save_figure(figure, path)


def confusion(gold: Ints, predicted: Ints, names: Sequence[str], path: Path) -> None:
    """Counts of gold (rows) against predicted (columns), of the relations that occur.

    Colours follow the share of the row, so that rare relations can be read as well.
    """
    occurring = sorted({*gold.tolist(), *predicted.tolist()})
    counts = confusion_matrix(gold, predicted, labels=occurring)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [names[number] for number in occurring]
    size = 2.5 + 0.42 * len(labels)
    figure = Figure(figsize=(size + 1.5, size))
    axes = figure.subplots()
    seaborn.heatmap(
        shares,
        annot=counts,
        fmt="d",
        cmap="Blues",
        vmin=0,
        vmax=1,
        xticklabels=labels,
        yticklabels=labels,
        cbar_kws={"label": "share of the gold relation's rows"},
        annot_kws={"size": 7},
        ax=axes,
    )
    axes.set(title="Confusion matrix (rows)", xlabel="predicted", ylabel="gold")
    save_figure(figure, path)


def reliability(curves: Mapping[str, Sequence[ReliabilityBin]], path: Path) -> None:
    """Accuracy against confidence, and how many rows have which confidence.

    Args:
        curves: name -> bins, as `metrics.reliability` gives them.
    """
    figure = Figure(figsize=(5, 6))
    accuracy, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    accuracy.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    for name, bins in curves.items():
        confidence = [one.confidence for one in bins]
        accuracy.plot(confidence, [one.accuracy for one in bins], marker="o", label=name)
        counts.plot(confidence, [one.rows for one in bins], marker=".", label=name)
    accuracy.set(title="Reliability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    accuracy.legend()
    counts.set(xlabel="highest probability", ylabel="rows", ylim=(0, None))
    for axes in (accuracy, counts):
        axes.grid(alpha=0.3)
    save_figure(figure, path)
