"""The report as one page: it opens from disk, and asks no network for anything."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
from fontTools.subset import Options, Subsetter, save_font
from fontTools.ttLib import TTFont
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kore.common.files import atomic_write
from kore.evaluation.assessment import Assessment, comparison_lines
from kore.evaluation.figures import korean_font
from kore.scoring.metrics import TITLES

TEMPLATE = "report.html.jinja"
SHOWN_ROWS = 50  # of errors and changed rows; their CSV files hold all


def write_html(
    path: Path,
    result: Assessment,
    errors: pd.DataFrame,
    changed: pd.DataFrame | None,
    pictures: Sequence[Path],
) -> None:
    """Writes the page; the pictures become part of it.

    Raises:
        UserError: the file cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # sentences are a user's text, and may look like HTML
        undefined=StrictUndefined,
    )
    content = {
        "result": result,
        "cards": _cards(result),
        "comparison": (
            comparison_lines(result.scores, result.comparison) if result.comparison else []
        ),
        "relations": _records(result.relations()),
        "slices": _grouped(result.slices),
        "errors": _records(errors.head(SHOWN_ROWS)),
        "num_errors": len(errors),
        "changed": None if changed is None else _records(changed.head(SHOWN_ROWS)),
        "num_changed": 0 if changed is None else len(changed),
        "pictures": {picture.stem: _embedded(picture) for picture in pictures},
    }
    template = environment.get_template(TEMPLATE)
    letters = set(template.render(content, font=""))
    with atomic_write(path) as file:
        file.write(template.render(content, font=embedded_font(letters)))


def embedded_font(letters: Collection[str]) -> str:
    """NanumGothic as a data address, cut down to `letters`: not every reader has Korean fonts."""
    options = Options(flavor="woff", layout_features=[], notdef_outline=True)
    options.drop_tables += ["TSI0", "TSI1", "TSI2", "TSI3", "TSI5"]  # the editor's, not subset
    with TTFont(korean_font()) as font, io.BytesIO() as file:
        subsetter = Subsetter(options)
        subsetter.populate(text="".join(letters))
        subsetter.subset(font)
        save_font(font, file, options)
        return f"data:font/woff;base64,{base64.b64encode(file.getvalue()).decode()}"


def _cards(result: Assessment) -> list[tuple[str, str, str]]:
    """(title, value, note) of the scores at the top."""
    cards = []
    for name, title in TITLES.items():
        bounds = result.intervals.get(name)
        note = f"95 %: {bounds.low:.2f} to {bounds.high:.2f}" if bounds else ""
        cards.append((title, f"{getattr(result.scores, name):.2f}", note))
    cards += [
        ("accuracy", f"{result.scores.accuracy:.2f}", f"{result.scores.rows} rows"),
        ("calibration error", f"{result.scores.ece:.2f}", "0 is best"),
    ]
    if result.adjusted is not None:
        for name, title in TITLES.items():
            value = getattr(result.adjusted.scores, name)
            cards.append((title, f"{value:.2f}", "under the class shares expected"))
    return cards


def _records(table: pd.DataFrame) -> list[dict]:
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _grouped(table: pd.DataFrame) -> dict[str, list[dict]]:
    return {str(name): _records(rows) for name, rows in table.groupby("by", sort=False)}


def _embedded(picture: Path) -> str:
    """The picture as a data address."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
