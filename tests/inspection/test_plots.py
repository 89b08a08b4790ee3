"""The pictures of a data set: files, what they show, and Hangul."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle
from tests.builders import EXAMPLES
from tests.runs import assert_one_sentence, command

import plots
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.sample_run import make_sample
from kore.data.schema import Example
from kore.evaluation.figures import save_figure
from kore.inspection import plots as data_plots

NAMES = (
    *("conflicts", "labels", "lengths", "objects"),
    *("positions", "sources", "subjects", "type_pairs"),
)


@pytest.fixture(scope="module")
def rows() -> list[Example]:
    return list(make_sample(300, seed=5).train)


def test_every_picture_is_written_and_no_glyph_is_missing(
    rows: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_file = tmp_path / "rows.csv"
    write_examples(data_file, rows)
    with warnings.catch_warnings(action="error"):  # matplotlib warns of every missing glyph
        plots.main(["eda", "--data_file", str(data_file), "--output_dir", str(tmp_path / "eda")])
    written = sorted((tmp_path / "eda").iterdir())
    assert [path.stem for path in written] == sorted([*NAMES, "summary"])
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == [str(path) for path in written]
    for path in written:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "eda" / "summary.json").read_text(encoding="utf-8"))
    assert summary["rows"] == len(rows) == sum(summary["labels"].values())
    assert summary["covered_by_max_length"]["256"] == 1.0


def test_rows_without_labels_can_be_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = [row._replace(label="100") for row in EXAMPLES]
    write_examples(tmp_path / "blind.csv", blind)
    flags = ["--data_file", str(tmp_path / "blind.csv"), "--output_dir", str(tmp_path / "eda")]
    plots.main(["eda", *flags])
    summary = json.loads((tmp_path / "eda" / "summary.json").read_text(encoding="utf-8"))
    assert summary["labels"] == {"(no label)": len(blind)}
    written = {path.stem for path in (tmp_path / "eda").iterdir()}
    assert written == {"lengths", "sources", "positions", "summary"}
    assert "has no labels: labels, type_pairs" in capsys.readouterr().err


def test_labels_of_any_letters_and_number_can_be_drawn(rows: list[Example], tmp_path: Path) -> None:
    """A dollar would begin a formula, and a picture of every pair would not fit into memory."""
    many = [
        row._replace(label=f"$\\frac${number}", subject=row.subject._replace(type=f"T{number}"))
        for number, row in enumerate(rows[:150])
    ]
    figure = data_plots.type_pairs(many)
    assert len(figure.axes[0].get_yticklabels()) == 60
    assert len(figure.axes[0].get_xticklabels()) == 60
    for drawn in (figure, data_plots.label_distribution(many)):
        save_figure(drawn, tmp_path / "picture.png")
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_notebook_shows_hangul_without_further_settings(rows: list[Example]) -> None:
    """The figure is drawn by others, who know nothing of its font."""
    korean = [row._replace(label=label) for row, label in zip(rows, ("소속", "설립"), strict=False)]
    with warnings.catch_warnings(action="error"):  # matplotlib warns of every missing glyph
        for figure in (data_plots.label_distribution(korean), data_plots.type_pairs(korean)):
            figure.savefig(io.BytesIO(), bbox_inches="tight")


def test_label_distribution_shows_counts_and_shares(rows: list[Example]) -> None:
    three = [rows[0]._replace(label=label) for label in ("소속", "소속", "설립")]
    axes = data_plots.label_distribution(three).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1  (33.3 %)", "2  (66.7 %)"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["설립", "소속"]
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == [1, 2]


def test_word_clouds_hold_one_cloud_a_relation(rows: list[Example]) -> None:
    three = [rows[0]._replace(label=label) for label in ("소속", "소속", "설립")]
    figure = data_plots.word_clouds(three, "subject")
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["소속  (2)", "설립  (1)"]


def test_token_lengths_say_what_a_max_length_covers(rows: list[Example]) -> None:
    figure = data_plots.sentence_lengths(rows[:4], [100, 130, 170, 300])
    texts = [text.get_text().strip() for text in figure.axes[1].texts]
    assert texts == ["128: 25.0 %", "160: 50.0 %", "256: 75.0 %"]


def test_data_without_a_conflict(rows: list[Example]) -> None:
    figure = data_plots.conflicts(rows[:1])
    assert "No conflicting labels" in figure.axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a family of pictures: eda"),
        (["roc"], "'roc' is no family of pictures; expected eda"),
        (["eda", "--data_file", "gone.csv"], "gone.csv: no such file"),
    ],
)
def test_mistakes(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plots.main(arguments)


def test_an_output_dir_that_is_a_file(rows: list[Example], tmp_path: Path) -> None:
    write_examples(tmp_path / "rows.csv", rows[:5])
    (tmp_path / "taken").touch()
    flags = ["--data_file", str(tmp_path / "rows.csv"), "--output_dir", str(tmp_path / "taken")]
    assert_one_sentence(command("tools/plots.py", "eda", *flags), "taken is a file; name a folder")
