"""Pictures are whole PNG files, Korean names included."""

from __future__ import annotations

import runpy
import threading
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from kore.evaluation import figures
from kore.scoring.metrics import ReliabilityBin

HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "valid_loss": 2 / epoch,
        "micro_f1": 10.0 * epoch,
        "auprc": 9.0 * epoch,
        "accuracy": 11.0 * epoch,
    }
    for epoch in (1, 2, 3)
]


def assert_png(path: Path) -> None:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = plt.imread(path)  # fails where the file is not whole
    assert min(pixels.shape[:2]) > 200
    assert pixels[..., :3].std() > 0.01  # not a blank page
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert plt.get_fignums() == []  # figures left open fill the memory


def test_the_settings_of_the_process_stay_as_they_are(tmp_path):
    with mpl.rc_context():
        mpl.rcdefaults()
        before = dict(mpl.rcParams)
        runpy.run_path(figures.__file__)  # as on the first import
        assert dict(mpl.rcParams) == before
        figures.learning_curve(HISTORY, tmp_path / "curve.png")
        assert dict(mpl.rcParams) == before


def test_the_settings_survive_threads_that_draw_at_once():
    """Without a lock, the second would keep the first one's settings as the process's own."""
    is_inside, may_leave = threading.Event(), threading.Event()

    def draw() -> None:
        with figures.korean_text():
            is_inside.set()
            may_leave.wait()

    before = dict(mpl.rcParams)
    second = threading.Thread(target=draw)
    with figures.korean_text():
        second.start()
        is_inside.wait(timeout=0.2)
    may_leave.set()
    second.join()
    assert is_inside.is_set()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("epochs", [1, 3])
def test_learning_curve(tmp_path, epochs):
    with warnings.catch_warnings(action="error"):
        figures.learning_curve(HISTORY[:epochs], tmp_path / "curve.png")
    assert_png(tmp_path / "curve.png")


def test_learning_curve_shows_every_value(tmp_path, monkeypatch):
    """What is drawn, read from the figure before it is saved."""
    drawn = {}

    def keep(figure: plt.Figure, path: Path) -> None:
        for axes in figure.axes:
            for line in axes.lines:
                drawn[line.get_label()] = np.asarray(line.get_ydata()).tolist()
        plt.close(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    figures.learning_curve(HISTORY, tmp_path / "curve.png")
    assert drawn == {
        "train_loss": [1.0, 1 / 2, 1 / 3],
        "valid_loss": [2.0, 1.0, 2 / 3],
        "micro_f1": [10.0, 20.0, 30.0],
        "auprc": [9.0, 18.0, 27.0],
        "accuracy": [11.0, 22.0, 33.0],
    }


def test_confusion_with_korean_names_lacks_no_glyph(tmp_path):
    gold = np.array([0, 0, 1, 2, 2])
    predicted = np.array([0, 1, 1, 2, 0])
    with warnings.catch_warnings(action="error"):  # matplotlib warns of every missing glyph
        figures.confusion(
            gold, predicted, ["관계없음", "소속", "설립일"], tmp_path / "confusion.png"
        )
    assert_png(tmp_path / "confusion.png")


def test_confusion_counts_by_hand(tmp_path, monkeypatch):
    """Gold in rows, predicted in columns; the relation 1 that never occurs is left out."""
    drawn: dict[str, list[Any]] = {}

    def keep(figure: plt.Figure, path: Path) -> None:
        axes = figure.axes[0]
        drawn["counts"] = [text.get_text() for text in axes.texts]
        drawn["columns"] = [text.get_text() for text in axes.get_xticklabels()]
        drawn["rows"] = [text.get_text() for text in axes.get_yticklabels()]
        plt.close(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    gold, predicted = np.array([0, 0, 0, 2]), np.array([0, 2, 2, 2])
    figures.confusion(gold, predicted, ["a", "b", "c"], tmp_path / "confusion.png")
    assert drawn == {
        "counts": ["1", "2", "", "1"],
        "columns": ["a", "c"],
        "rows": ["a", "c"],
    }
    figures.confusion(
        gold, predicted, ["a", "b", "c"], tmp_path / "confusion.png", is_normalised=True
    )
    assert drawn["counts"] == ["33", "67", "", "100"]


def test_reliability_draws_every_curve(tmp_path, monkeypatch):
    kept = []

    def keep(figure, path):
        kept.append(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    before = [ReliabilityBin(3, 0.4, 0.2), ReliabilityBin(5, 0.9, 0.8)]
    figures.reliability({"before": before, "after": before[:1]}, tmp_path / "r.png")
    lines = {line.get_label(): line for line in kept[0].axes[0].lines}
    assert lines["before"].get_xydata().tolist() == [[0.4, 0.2], [0.9, 0.8]]
    assert lines["after"].get_xydata().tolist() == [[0.4, 0.2]]
    assert kept[0].axes[1].lines[0].get_ydata().tolist() == [3, 5]


def test_precision_recall_of_each_relation(tmp_path, monkeypatch):
    """Relation b: ranked hit, miss, hit: precision 1, 1/2, 2/3; relation a has no gold row."""
    kept = []

    def keep(figure, path):
        kept.append(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    gold = np.array([1, 2, 1])
    probs = np.array([[0.0, 0.9, 0.1], [0.0, 0.5, 0.5], [0.0, 0.4, 0.6]])
    figures.precision_recall(gold, probs, ["a", "b", "c"], tmp_path / "p.png")
    titles = [axes.get_title() for axes in kept[0].axes]
    # area of b: 1/2 at precision 1, then 1/2 between 1/2 and 2/3
    assert titles[0] == f"b\n{100 * (0.5 + 0.5 * (1 / 2 + 2 / 3) / 2):.1f}   2 examples"
    assert titles[1].startswith("c\n")
    assert len(titles) == 2
    recall, precision = kept[0].axes[0].lines[0].get_xydata().T.tolist()
    assert recall == pytest.approx([1.0, 0.5, 0.5, 0.0])
    assert precision == pytest.approx([2 / 3, 1 / 2, 1.0, 1.0])
