"""Options of training a tagger."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import Checked, option
from kore.data.options import RowOptions
from kore.training.options import FineTuningOptions, HeldOutOptions


@dataclass
class NerDataOptions(HeldOutOptions, group="Data"):
    train_file: str = option(
        "data/ner_data.tsv",
        "texts to learn from: KLUE-NER .tsv, CoNLL .conll, .jsonl, .json, .parquet",
        essential=True,
    )
    partial_file: str = option(
        "",
        "examples of relations (.csv, .json, .jsonl) to learn from as well: their marked entities "
        "are known, of all else in their sentences nothing is",
        essential=True,
    )
    type_names: str = option(
        "",
        "JSON of other names for the types of TRAIN_FILE and VALID_FILE; klue_types.json has "
        "KLUE-RE's for those of KLUE-NER",
    )
    max_length: int = option(
        128,
        "most tokens of a window; longer texts have several, which overlap",
        within="[8, 100000]",
        essential=True,
    )


@dataclass
class TaggerOptions(Checked, group="Model"):
    ngram_buckets: int = option(
        0,
        "add a linear model of the character n-grams around each character, hashed to this many "
        "numbers, e.g. 131072; 0 = none",
        within="[0, 10000000]",
    )


@dataclass
class TrainNerOptions(NerDataOptions, TaggerOptions, FineTuningOptions, RowOptions):
    selection_metric: str = option(
        "micro_f1",
        "validation score of the best epoch",
        choices=("micro_f1", "macro_f1", "character_f1"),
    )
    recipe: str = option(
        "", "flags of a recipe by its name, or of a .json file; flags given win", essential=True
    )
