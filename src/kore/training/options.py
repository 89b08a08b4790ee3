"""Options of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from kore.common.errors import UserError
from kore.common.flags import KORE_MINI, MINI, Checked, DeviceOptions, option
from kore.data.markers import LEVITATED
from kore.data.options import RowOptions, SchemaOptions

MUON = "muon"
EVERYTHING, RELATIONS = "all", "relations"  # what the expected class shares are shares of
_RATES = {MINI: 1e-3, KORE_MINI: 1e-3}  # peak learning rates of small encoders


@dataclass
class OptimizationOptions(DeviceOptions, group="Optimization"):
    """What training and pretraining share."""

    model_name_or_path: str = option(
        "klue/roberta-large",
        f"encoder: hub name, folder, '{KORE_MINI}' (which ships) or '{MINI}' (made from scratch)",
        essential=True,
    )
    run_name: str = option(
        "", "name of the checkpoint; '' = the encoder's name and a number", essential=True
    )
    resume: bool = option(
        False, "continue the run of that name, or the latest one if none is given", essential=True
    )
    batch_size: int = option(
        16, "examples per device per micro-batch", within="[1, 100000]", essential=True
    )
    num_epochs: int = option(
        10, "passes over the training examples", within="[1, 10000]", essential=True
    )
    learning_rate: float | None = option(
        None,
        "peak learning rate; by default 3e-5, and 1e-3 for kore-mini and mini",
        within="(0, 1]",
        essential=True,
    )
    seed: int = option(42, "random seed", within="[0, 4294967295]", essential=True)
    optimizer: str | None = option(
        "adamw",
        "muon = Muon for the layers' matrices and AdamW for the rest",
        choices=("adamw", MUON),
    )
    muon_learning_rate: float = option(
        0.003, "peak learning rate of the matrices that learn by Muon", within="(0, 1]"
    )
    gradient_accumulation_steps: int = option(
        1, "micro-batches per optimizer step", within="[1, 10000]"
    )
    scheduler: str = option("linear", "decay after warm-up", choices=("linear", "cosine"))
    warmup_ratio: float = option(0.1, "share of all optimizer steps that warms up", within="[0, 1)")
    weight_decay: float = option(0.01, "AdamW's decay of weight matrices", within="[0, 1]")
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm", within="(0, inf)")
    gradient_checkpointing: bool = option(
        False, "compute activations twice instead of keeping them: less memory, slower"
    )
    model_dir: str = option("models", "folder for checkpoints")
    save_steps: int = option(500, "optimizer steps between saved states", within="[1, 1000000000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate is None:
            self.learning_rate = default_learning_rate(self.model_name_or_path)


def default_learning_rate(model_name_or_path: str) -> float:
    """The peak rate of an encoder where none is given."""
    return _RATES.get(model_name_or_path, 3e-5)


@dataclass
class DataOptions(Checked, group="Data"):
    train_file: str = option(
        "data/train_data.csv", "examples to learn from (.csv, .json, .jsonl)", essential=True
    )
    valid_file: str = option(
        "data/valid_data.csv", "examples to validate on after every epoch", essential=True
    )
    ner_file: str = option(
        "",
        "texts with tagged entities (KLUE-NER .tsv, CoNLL .conll, .jsonl, .json, .parquet), which "
        "the encoder learns beside the relations; MODEL_DIR/RUN_NAME/tagger.pth is their tagger",
    )
    type_names: str = option(
        "",
        "JSON of other names for the types of NER_FILE; klue_types.json has KLUE-RE's for those of "
        "KLUE-NER",
    )
    max_length: int = option(160, "most tokens of an example", within="[8, 100000]", essential=True)
    num_folds: int = option(
        0,
        "split TRAIN_FILE into this many folds and train a model for each; 0 = use VALID_FILE",
        within="[0, 1000]",
    )
    drop_conflicts: bool = option(
        False, "leave out training examples that repeat or contradict others"
    )
    swap_entities: str = option(
        "",
        "JSON of inverse relations: train on examples with subject and object swapped as well; "
        "klue_inverses.json has KLUE's",
    )
    target_prior: str = option(
        "",
        "JSON of the class shares to expect where the model is used: its probabilities follow "
        "them instead of those of TRAIN_FILE; klue_dev_shares.json has KLUE-RE dev's",
    )
    target_prior_scope: str = option(
        EVERYTHING,
        "relations = TARGET_PRIOR says how the relations are to one another; how common "
        "no_relation is stays as in TRAIN_FILE",
        choices=(EVERYTHING, RELATIONS),
    )
    target_prior_strength: float = option(
        1.0, "how much of the way to TARGET_PRIOR, as a power of its ratios", within="(0, 1]"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_folds == 1:
            raise UserError("`num_folds` is 1, expected 0 (none) or at least 2")
        if self.type_names and not self.ner_file:
            raise UserError("`type_names` goes with `ner_file`")
        for name, usual in (("target_prior_scope", EVERYTHING), ("target_prior_strength", 1.0)):
            if not self.target_prior and getattr(self, name) != usual:
                raise UserError(f"`{name}` goes with `target_prior`")


@dataclass
class HeldOutOptions(Checked, group="Data"):
    """Validation texts in a file of their own, or held out, or in turn."""

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
        "split TRAIN_FILE into this many folds and train a model for each; 0 = hold one part out",
        within="[0, 1000]",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_folds == 1:
            raise UserError("`num_folds` is 1, expected 0 (none) or at least 2")


@dataclass
class ModelDesignOptions(Checked, group="Model"):
    use_entity_markers: bool = option(True, "mark the entities in the text")
    use_entity_types: bool = option(True, "write the entity's type into the markers")
    marker_style: str = option(
        "punct",
        "'@ * 단체 * 비틀즈 @', '[E1-ORG]비틀즈[/E1-ORG]', or levitated = such tokens behind the "
        "text, which is then read once for all pairs of entities",
        choices=("punct", "special", LEVITATED),
    )
    cue_sentence: bool = option(
        False, "put 'SUBJECT 와 OBJECT 의 관계' with its markers before the text"
    )
    use_span_pooling: bool = option(
        True, "concatenate [CLS] with both entity spans; off = [CLS] alone"
    )
    span_pooling: str = option(
        "attention",
        "how a span becomes one vector; start_end = its first and last token, the markers, "
        "concatenated",
        choices=("mean", "max", "attention", "start", "start_end"),
    )
    entity_type_embedding: bool = option(
        False, "add a learned vector of its type to the tokens of an entity"
    )
    last_layers: int = option(
        1, "concatenate this many of the encoder's last layers", within="[1, 100]"
    )
    pair_layers: int = option(
        1,
        "in so many of the last layers the levitated markers of a pair attend to each other; below "
        "them each entity's are computed once, whatever it is paired with",
        within="[0, 100]",
    )
    bilstm: bool = option(False, "run a BiLSTM over the encoder's states before pooling")
    ngram_buckets: int = option(
        0,
        "add a linear model of the character n-grams in and around the entities, hashed to this "
        "many numbers a field, e.g. 16384; 0 = none",
        within="[0, 10000000]",
    )
    type_restriction: str = option(
        "none",
        "rule out relations that no training example has between entities of such types",
        choices=("none", "inference", "both"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cue_sentence and not self.use_entity_markers:
            raise UserError("`cue_sentence` needs `use_entity_markers` True: it contains them")
        if self.marker_style == LEVITATED:
            self._check_levitated()

    def _check_levitated(self) -> None:
        needed = {"use_entity_markers": True, "use_span_pooling": True}
        needed |= {"cue_sentence": False, "entity_type_embedding": False, "bilstm": False}
        for name, value in needed.items():
            if getattr(self, name) is not value:
                raise UserError(
                    f"`marker_style` {LEVITATED} needs `{name}` {value}: the text is read without "
                    "knowing which entities are asked about"
                )


@dataclass
class LossOptions(Checked, group="Loss"):
    focal_loss: bool = option(False, "focal loss with --alpha and --gamma; off = cross-entropy")
    alpha: float = option(1.0, "weight of the focal loss", within="(0, inf)")
    gamma: float = option(
        2.0, "how much less easy examples count in the focal loss", within="[0, inf)"
    )
    asymmetric_loss: bool = option(
        False, "asymmetric loss with --gamma_positive and --gamma_negative instead"
    )
    gamma_positive: float = option(
        0.0, "how much less the gold relation counts where it is probable", within="[0, inf)"
    )
    gamma_negative: float = option(
        2.0, "how much less the other relations count where they are improbable", within="[0, inf)"
    )
    label_smoothing: float = option(
        0.0, "share of the target spread over all relations", within="[0, 1)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.focal_loss and self.asymmetric_loss:
            raise UserError("`focal_loss` and `asymmetric_loss`: choose one of them")


@dataclass
class RegularizationOptions(Checked, group="Regularization"):
    """What every task can have."""

    dropout: float = option(0.1, "dropout of encoder and head", within="[0, 1)")
    fgm: float = option(
        0.0, "size of an adversarial step on the word embeddings, e.g. 0.5", within="[0, inf)"
    )
    layer_lr_decay: float = option(
        1.0, "each layer's learning rate is that of the layer above times this", within="(0, 1]"
    )


@dataclass
class NoiseOptions(Checked, group="Regularization"):
    mask_tokens: float = option(
        0.0, "share of the tokens outside the entities to mask in training", within="[0, 1)"
    )
    r_drop: float = option(
        0.0, "weight of the divergence between two passes with different dropout", within="[0, inf)"
    )


@dataclass
class SelectionOptions(Checked, group="Model selection"):
    selection_metric: str = option(
        "micro_f1", "validation score of the best epoch", choices=("micro_f1", "auprc")
    )
    patience: int = option(
        0, "stop after this many epochs without a better one; 0 = never", within="[0, 10000]"
    )


@dataclass
class FineTuningOptions(RegularizationOptions, SelectionOptions, OptimizationOptions):
    """What `Trainer` reads, whatever the task is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fgm and self.gradient_accumulation_steps > 1:
            raise UserError(
                "`fgm` needs `gradient_accumulation_steps` 1: its step follows the gradient of the "
                "whole optimizer step"
            )


@dataclass
class TrainOptions(
    DataOptions,
    ModelDesignOptions,
    LossOptions,
    NoiseOptions,
    FineTuningOptions,
    RowOptions,
    SchemaOptions,
):
    REMOVED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("class_balanced_beta", "ema_decay", "oversample_to", "replace_entities", "weight_average"),
        "it raised no score where it was measured",
    )
    recipe: str = option(
        "", "flags of a recipe by its name, or of a .json file; flags given win", essential=True
    )
