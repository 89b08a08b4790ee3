"""Options of training a tagger."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.errors import UserError
from kore.common.flags import Checked, option
from kore.data.options import RowOptions
from kore.training.options import FineTuningOptions


@dataclass
class NerDataOptions(Checked, group="Data"):
    train_file: str = option(
        "data/ner_data.tsv",
        "texts to learn from: KLUE-NER .tsv, CoNLL .conll, .jsonl, .json, .parquet",
        essential=True,
    )
    valid_file: str = option(
        "",
        "texts to validate on after every epoch; '' = VALID_RATIO of TRAIN_FILE, held out",
        essential=True,
    )
    valid_ratio: float = option(
        0.2, "share of TRAIN_FILE held out, the same for every seed", within="(0, 1)"
    )
    num_folds: int = option(
        0,
        "split TRAIN_FILE into this many folds and train a tagger for each; 0 = hold one part out",
        within="[0, 1000]",
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_folds == 1:
            raise UserError("`num_folds` is 1, expected 0 (none) or at least 2")


@dataclass
class TrainNerOptions(NerDataOptions, FineTuningOptions, RowOptions):
    selection_metric: str = option(
        "micro_f1",
        "validation score of the best epoch",
        choices=("micro_f1", "macro_f1", "character_f1"),
    )
    recipe: str = option(
        "", "flags of a recipe by its name, or of a .json file; flags given win", essential=True
    )
