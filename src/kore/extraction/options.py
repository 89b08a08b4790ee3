"""Options of extraction."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import AUTO, BATCH_TOKENS, DeviceOptions, option
from kore.data.options import RowOptions


@dataclass
class ExtractOptions(DeviceOptions, RowOptions, group="Texts"):
    text: str = option(
        "", "a text whose triples are printed, in place of INPUT_FILE", essential=True
    )
    input_file: str = option(
        "",
        "texts: .txt (one a line), .csv, .json, .jsonl, also .gz; .parquet",
        essential=True,
    )
    text_column: str = option(
        "", "column of the texts; '' = text, sentence, input, document or content", essential=True
    )
    output_dir: str = option("outputs", "folder for results and rejected rows", essential=True)
    output_name: str = option(
        "",
        "file in OUTPUT_DIR (.jsonl, .jsonl.gz); '' = INPUTFILE_triples.jsonl; a .csv of the "
        "triples stands beside it",
        essential=True,
    )
    resume: bool = option(
        False, "continue a killed run of the same command where it stopped", essential=True
    )
    min_probability: float = option(
        0.5, "triples that are less probable are left out", within="[0, 1]", essential=True
    )
    sentences: str = option(
        AUTO,
        "how texts are split: kiwi, a sentence a line, or auto = kiwi where it is installed",
        choices=(AUTO, "kiwi", "line"),
    )
    ner_model: str = option(
        "",
        "tagger; '' = the newest in MODEL_DIR, or kore-mini-ner, which ships",
        essential=True,
    )
    model_file: str = option(
        "",
        "relation model; '' = the newest in MODEL_DIR, or kore-mini-re, which ships",
        essential=True,
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    inverses: str = option(
        AUTO,
        "JSON of inverse relations, which are one fact; auto = klue_inverses.json for the "
        "relations of KLUE-RE, '' = none",
    )
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
