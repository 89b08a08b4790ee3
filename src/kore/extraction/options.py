"""Options of extraction."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import AUTO, BATCH_TOKENS, Checked, option
from kore.prediction.options import ClusterOptions, TextOptions


@dataclass
class ReadingOptions(Checked, group="Extraction"):
    """How texts become triples."""

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
    inverses: str = option(
        AUTO,
        "JSON of inverse relations, which are one fact; auto = klue_inverses.json for the "
        "relations of KLUE-RE, '' = none",
    )


@dataclass
class ExtractOptions(TextOptions, ReadingOptions, group="Texts"):
    text: str = option(
        "", "a text whose triples are printed, in place of INPUT_FILE", essential=True
    )
    input_file: str = option(
        "",
        "texts: .txt (one a line), .csv, .json, .jsonl, also .gz; .parquet; a folder of .txt, a "
        "document each; - = standard input, a text a line, whose triples are printed",
        essential=True,
    )
    output_name: str = option(
        "",
        "file in OUTPUT_DIR (.jsonl, .jsonl.gz); '' = INPUTFILE_triples.jsonl; a .csv of the "
        "triples stands beside it",
        essential=True,
    )
    pairs: str = option(
        "",
        "examples with two marked entities (.csv, .json, .jsonl, .parquet), to ask about just "
        "these pairs, in place of INPUT_FILE",
        essential=True,
    )
    graph: str = option(
        "",
        "write all facts as a graph as well: CSV for neo4j-admin import, GraphML, or N-Triples",
        choices=("neo4j", "graphml", "nt"),
        essential=True,
    )
    figure: bool = option(False, "draw the surest facts (.png)", essential=True)


@dataclass
class ExtractOnRayOptions(ClusterOptions, ReadingOptions, group="Texts"):
    input_file: str = option(
        "data/test_texts.txt",
        "texts: .txt, .csv, .json, .jsonl, also .gz; .parquet; or a folder of them, in which every "
        ".txt is a document",
        essential=True,
    )
    text_column: str = option(
        "", "column of the texts; '' = text, sentence, input, document or content", essential=True
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
