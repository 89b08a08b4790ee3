"""The HTML report: an assessment as one page, which opens from disk and needs no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kore.common.files import atomic_write
from kore.evaluation.assessment import Assessment
from kore.evaluation.assessment_text import adjusted_lines, comparison_lines, errors_line
from kore.scoring.metrics import TITLES

TEMPLATE = "report.html.jinja"
TABLE_TEMPLATE = "table.html.jinja"
SHOWN_ROWS = 50  # of errors and changed predictions; their CSV files hold all


def write_html(
    path: Path,
    result: Assessment,
    errors: pd.DataFrame,
    changed: pd.DataFrame | None,
    pictures: Sequence[Path],
) -> None:
    """Writes the page; the pictures become part of it.

    Args:
        errors, changed: tables of `error_analysis`; changed is None where nothing is compared.

    Raises:
        UserError: the file cannot be written.
    """
    content = {
        "cards": _cards(result),
        "sentences": adjusted_lines(result) + comparison_lines(result),
        "kinds": result.kinds,
        "errors_line": errors_line(result),
        "relations": _records(result.relations()),
        "slices": _grouped(result.slices),
        "errors": _records(errors.head(SHOWN_ROWS)),
        "num_errors": len(errors),
        "changed": None if changed is None else _records(changed.head(SHOWN_ROWS)),
        "num_changed": 0 if changed is None else len(changed),
        "pictures": {picture.stem: _embedded(picture) for picture in pictures},
    }
    _write_page(path, TEMPLATE, content)


def write_table_page(
    path: Path,
    title: str,
    cards: Sequence[tuple[str, str]],
    rows: Sequence[Mapping[str, Any]],
    pictures: Sequence[Path],
) -> None:
    """Writes a page of scores, one table and pictures, which become part of it.

    Raises:
        UserError: the file cannot be written.
    """
    content = {
        "title": title,
        "cards": cards,
        "rows": rows,
        "pictures": {picture.stem: _embedded(picture) for picture in pictures},
    }
    _write_page(path, TABLE_TEMPLATE, content)


def _write_page(path: Path, template: str, content: Mapping[str, Any]) -> None:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # sentences are a user's text, and may look like HTML
        undefined=StrictUndefined,
    )
    with atomic_write(path) as file:
        file.write(environment.get_template(template).render(content))


def _cards(result: Assessment) -> list[tuple[str, str, str]]:
    """(title, value, note) of the scores at the top."""
    cards = []
    for name, title in TITLES.items():
        bounds = result.intervals.get(name)
        note = f"95 %: {bounds.low:.2f} to {bounds.high:.2f}" if bounds else ""
        cards.append((title, f"{getattr(result.scores, name):.2f}", note))
    cards += [
        ("accuracy", f"{result.scores.accuracy:.2f}", f"{result.scores.rows} examples"),
        ("calibration error", f"{result.scores.ece:.2f}", "0 is best"),
    ]
    if result.adjusted is not None:
        for name, title in TITLES.items():
            value = getattr(result.adjusted.scores, name)
            cards.append((title, f"{value:.2f}", "with the expected class shares"))
    return cards


def _records(table: pd.DataFrame) -> list[dict]:
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _grouped(table: pd.DataFrame) -> dict[str, list[dict]]:
    return {str(name): _records(rows) for name, rows in table.groupby("by", sort=False)}


def _embedded(picture: Path) -> str:
    """The picture as a data address."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
