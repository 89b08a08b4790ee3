"""Options of training a classifier of many labels toward a target."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import KORE_MINI, Checked, option
from kore.data.options import RowOptions
from kore.training.options import FineTuningOptions, HeldOutOptions

BCE, FOCAL, ASL, ASL2 = "bce", "focal", "asl", "asl2"
FITTED = "fitted"


@dataclass
class EmotionDataOptions(HeldOutOptions, group="Data"):
    train_file: str = option(
        "data/emotion_train.jsonl",
        "texts to learn from (.jsonl, .json), with a target or without, and labels",
        essential=True,
    )
    max_length: int = option(
        128, "most tokens of a text; the target always stays", within="[8, 100000]", essential=True
    )
    remove_others: bool = option(
        False, "leave out the placeholder &others&", aliases=("removing-others", "remove-others")
    )
    cleansing: bool = option(False, "cut runs of a symbol (!!!) to one of it")


@dataclass
class EmotionLossOptions(Checked, group="Loss"):
    loss: str = option(
        BCE,
        "binary cross-entropy, focal loss, or asymmetric loss, whose weights have no gradient "
        "(asl) or have one (asl2)",
        choices=(BCE, FOCAL, ASL, ASL2),
        essential=True,
    )
    gamma: float = option(
        2.0, "how much less easy labels count in the focal loss", within="[0, inf)"
    )
    gamma_positive: float = option(
        1.0, "how much less easy true labels count in the asymmetric loss", within="[0, inf)"
    )
    gamma_negative: float = option(
        4.0, "how much less easy false labels count in the asymmetric loss", within="[0, inf)"
    )
    clip: float = option(
        0.05, "probability below which a false label does not count in it", within="[0, 1)"
    )


@dataclass
class TrainEmotionOptions(EmotionDataOptions, EmotionLossOptions, FineTuningOptions, RowOptions):
    model_name_or_path: str = option(
        KORE_MINI,
        f"encoder: hub name, folder, or '{KORE_MINI}', which ships",
        essential=True,
    )
    span_pooling: str = option(
        "mean",
        "how the target becomes one vector",
        choices=("mean", "max", "attention", "start", "start_end"),
    )
    thresholds: str = option(
        "0.5",
        "probability from which a label is true: 0.5, or fitted on the validation texts",
        choices=("0.5", FITTED),
    )
    selection_metric: str = option(
        "micro_f1", "validation score of the best epoch", choices=("micro_f1", "macro_f1")
    )
    recipe: str = option(
        "", "flags of a recipe by its name, or of a .json file; flags given win", essential=True
    )
