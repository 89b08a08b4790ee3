"""Options of extraction."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import AUTO, option
from kore.prediction.options import TextOptions


@dataclass
class ExtractOptions(TextOptions, group="Texts"):
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
