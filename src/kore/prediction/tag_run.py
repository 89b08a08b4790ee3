"""The entities of a file of texts: `kore tag`, from its options to its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.data.text_files import without_compression
from kore.data.texts import TextRow
from kore.network.locate import find_tagger
from kore.network.tagger_file import load_tagger
from kore.prediction.options import TagOptions
from kore.prediction.parts import is_finished
from kore.prediction.tagging import EntityFinder, record_of
from kore.prediction.text_stream import (
    FREE_OPTIONS,
    JsonLines,
    json_lines_output,
    text_manifest,
    texts_of,
    write_stream,
)


def tag_file(options: TagOptions) -> Path:
    """Finds the entities of every text of `test_file` and returns the path of the output.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("texts are tagged by one process; leave accelerate launch out")
    model_file = find_tagger(options.model_file, options.model_dir)
    test_file = Path(options.test_file)
    default = f"{model_file.stem}_{without_compression(test_file).stem}.jsonl"
    output = json_lines_output(options.output_dir, options.output_name, default, test_file)
    manifest = text_manifest(
        options,
        "test_file",
        FREE_OPTIONS,
        {"model_file": model_file},
        mixed_precision=accelerator.mixed_precision,
    )
    if options.resume and is_finished(output, manifest):
        print(f"Nothing to resume, all is tagged with {model_file}: {output}")
        return output
    trained = load_tagger(model_file)
    if options.compile:
        trained.tagger.run_encoder(compiled=True)
    finder = EntityFinder(trained, accelerator, options.batch_tokens)

    def tagged(rows: Sequence[TextRow]) -> list[dict[str, Any]]:
        entities = finder([row.text for row in rows])
        return [record_of(row.id, row.text, own) for row, own in zip(rows, entities, strict=True)]

    models = f"--model_file {model_file}"
    content = JsonLines(output)
    source = texts_of(test_file, options.text_column)
    texts = write_stream(source, options, output, content, manifest, tagged, models)
    print(f"{texts} texts tagged with {model_file}: {output}")
    return output
