"""The command that draws a data set."""

from __future__ import annotations

from pathlib import Path

from kore.common.errors import UserError
from kore.data.rows import read_examples
from kore.inspection.options import EdaOptions
from kore.inspection.plots import count_tokens, draw_all


def draw(options: EdaOptions) -> None:
    """Draws every picture of DATA_FILE to OUTPUT_DIR and prints its path.

    Raises:
        UserError: the data is faulty, or a picture cannot be written.
    """
    folder = Path(options.output_dir)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`output_dir` {folder} is a file; name a folder")
    examples = read_examples(
        Path(options.data_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    for path in draw_all(examples, count_tokens(examples, options.tokenizer), folder):
        print(path)
