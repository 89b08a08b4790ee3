"""Options of evaluation and explanation."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import AUTO, option
from kore.data.options import RowOptions, SchemaOptions
from kore.network.options import ModelOptions

NER, EXTRACTION, EMOTION = "ner", "extraction", "emotion"


@dataclass
class EvaluationOptions(RowOptions, SchemaOptions, group="Scores"):
    task: str = option(
        "relation",
        "what is scored: relations of examples, entities of texts, triples from raw text, or many "
        "labels of each text",
        choices=("relation", NER, EXTRACTION, EMOTION),
        essential=True,
    )
    prediction_file: str = option(
        "",
        "predictions as the command for prediction writes them: id, pred_label, probs; for the "
        "other tasks what their commands wrote (.jsonl)",
        essential=True,
    )
    gold_file: str = option(
        "",
        "the same examples with their gold labels (.csv, .json, .jsonl); for ner the same texts "
        "with their entities (.tsv, .conll, .jsonl, …)",
        essential=True,
    )
    output_dir: str = option(
        "outputs/report", "folder for report.html, tables and plots", essential=True
    )
    compare: str = option(
        "",
        "predictions of the same examples by another model, for a significance test; for "
        "extraction another one's triples, beside the first",
        essential=True,
    )
    train_file: str = option(
        "", "the training examples: scores for the entity pairs that do not occur in them as well"
    )
    target_prior: str = option(
        "",
        "scores under these class shares as well: a JSON file, or estimate (from UNLABELLED_FILE)",
    )
    unlabelled_file: str = option(
        "", "predictions of unlabelled examples, from which class shares are estimated"
    )
    resamples: int = option(
        1000, "bootstrap resamples for intervals and p-values; 0 = none", within="[0, 1000000]"
    )
    seed: int = option(42, "random seed of the bootstrap", within="[0, 4294967295]")
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside the prediction file"
    )


@dataclass
class ExplainOptions(ModelOptions, group="Explanation"):
    data_file: str = option(
        "data/valid_data.csv",
        "file with the example (.csv, .json, .jsonl, also .gz; .parquet)",
        essential=True,
    )
    example_id: str = option(
        "", "id of the example; '' = the first one", essential=True, aliases=("row",)
    )
    relation: str = option("", "relation to explain; '' = the predicted one", essential=True)
    output_dir: str = option("outputs", "folder for the pictures and the .json", essential=True)
    layer: int | None = option(
        None,
        "draw the attention of this layer, 1 = the first; by default the mean of all layers",
        within="[1, 1000]",
    )
    steps: int = option(
        64, "points of the integral; more are more exact, and slower", within="[1, 1000]"
    )
    batch_tokens: int = option(
        1024,
        "most tokens computed at once, their gradients included in memory",
        within="[16, 10000000]",
    )
    use_cuda: str = option(
        AUTO, "run on a CUDA GPU; auto = where there is one", choices=("True", "False", AUTO)
    )
