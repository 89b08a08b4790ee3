"""The pictures of an explanation: what is drawn, and that any text can be drawn."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from tests.evaluation.test_figures import assert_png

from kore.evaluation import figures
from kore.evaluation.explanation import Explanation, Part
from kore.evaluation.explanation_figures import (
    AGAINST,
    FOR,
    LABEL_BOXES,
    attention_heatmap,
    attribution_bars,
    printable,
)


def make_explanation(texts: list[str], attributions: list[float] | None = None) -> Explanation:
    """The first word is the subject, the last one was cut; tokens are the words."""
    values = attributions or [0.5] * len(texts)
    words = [Part(text, value, "") for text, value in zip(texts, values, strict=True)]
    words[0] = Part(texts[0], values[0], "subject")
    words[-1] = Part(texts[-1], 0.0, "", is_read=False)
    attention = np.linspace(0, 1, len(texts) ** 2).reshape(len(texts), len(texts))
    probs = {"org:founded": 0.75, "no_relation": 0.25}
    return Explanation("a", None, "org:founded", probs, -0.3, -2.0, words, words, attention)


@pytest.fixture
def kept(monkeypatch) -> list[Figure]:
    """The figures, in place of their files."""
    figures_drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: figures_drawn.append(figure))
    return figures_drawn


def test_bars_are_the_words_that_were_read(kept):
    attribution_bars(make_explanation(["해담", "은", "끝", "잘림"], [2.0, -1.0, 0.5, 0]), Path("x"))
    axes = kept[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["해담", "은", "끝"]
    assert [bar.get_width() for bar in axes.patches] == [2.0, -1.0, 0.5]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == [FOR, AGAINST, FOR]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first word stands on top
    boxes = [label.get_bbox_patch() for label in axes.get_yticklabels()]
    assert to_hex(boxes[0].get_facecolor()) == LABEL_BOXES["subject"]
    assert boxes[1:] == [None, None]


def test_the_heatmap_has_queries_in_rows_and_grows_with_the_tokens(kept):
    small, large = (make_explanation([f"말{i}" for i in range(count)]) for count in (4, 160))
    attention_heatmap(small, None, Path("x"))
    attention_heatmap(large, 2, Path("x"))
    axes = kept[0].axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), small.attention)
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["말0", "말1", "말2", "말3"]
    assert "all layers" in axes.get_title()
    assert "layer 2" in kept[1].axes[0].get_title()
    for figure in kept:
        figure.canvas.draw()
    axes = kept[1].axes[0]
    label = axes.yaxis.get_ticklabels()[0].get_window_extent()
    assert label.height * 160 < axes.get_window_extent().height  # no label covers another


def test_any_text_is_drawn_without_a_warning(tmp_path):
    texts = ["$\\frac", "a$ $x_", "😀", "줄\n바꿈", "\x1b[31m", "한글"]
    with warnings.catch_warnings(action="error"):
        attribution_bars(make_explanation(texts), tmp_path / "bars.png")
    assert_png(tmp_path / "bars.png")


def test_what_steers_a_terminal_is_replaced():
    assert printable("해담 $x\x1b[31m\r\n\u202e.") == "해담 $x\ufffd[31m\ufffd\ufffd\ufffd."
