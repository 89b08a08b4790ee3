"""The pictures of a data set, from options to files."""

from __future__ import annotations

from kore.inspection.options import EdaOptions
from kore.inspection.plots import draw_eda


def draw(options: EdaOptions) -> None:
    """Draws every picture and prints its path.

    Raises:
        UserError: the data is faulty, or a picture cannot be written.
    """
    for path in draw_eda(options):
        print(path)
