"""Options of converting and splitting data."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import AUTO, option
from kore.data.options import RowOptions

# See formats.py; a test holds both together.
FORMATS = (
    AUTO, "table", "marked", "brat", "tacred", "opennre", "fewrel", "spert", "scierc", "docred",
    "label-studio", "doccano",
)  # fmt: skip


@dataclass
class PrepareOptions(RowOptions, group="Split"):
    input_file: str = option(
        "data/train.csv",
        "all labelled examples: .csv, .tsv, .json, .jsonl, .parquet, .ann or a folder of .ann",
        essential=True,
    )
    format: str = option(
        AUTO,
        "what INPUT_FILE is: a table or objects with two entities each, sentences with markers "
        "around both, or another toolkit's; auto = as its fields show",
        choices=FORMATS,
        essential=True,
    )
    data_dir: str = option("data", "folder for train_data.csv and valid_data.csv", essential=True)
    valid_ratio: float = option(
        0.2, "share of the examples held out for validation", within="(0, 1)", essential=True
    )
    output_file: str = option(
        "", "write all examples to this .csv, labelled or not, in place of a split", essential=True
    )
    overwrite: bool = option(False, "replace the files where they exist", essential=True)
    no_relation_label: str = option(
        "",
        "relation of INPUT_FILE that means 'none of them', such as NA or Other; it is written as "
        "no_relation",
        essential=True,
    )
    unrelated_pairs: bool = option(
        False,
        "pairs of a sentence that a file of documents leaves without a relation become no_relation",
        essential=True,
    )
    ends: str = option(
        AUTO,
        "the end of an entity is its last character or the one behind; auto = as the words show",
        choices=(AUTO, "inclusive", "exclusive"),
    )
    label2id_path: str = option(
        "",
        "names of labels that are numbers (.pkl or .json); '' = as a .parquet names them, or "
        "KLUE's own order for KLUE's own files; auto = the numbers are names",
    )
    group_by_sentence: bool = option(True, "keep every sentence on one side of the split")
    seed: int = option(42, "random seed of the split", within="[0, 4294967295]")
    hub_dataset: str = option("", "instead of INPUT_FILE, a data set on the hub, e.g. klue/klue")
    hub_config: str = option("re", "configuration of the hub data set")
    hub_split: str = option("train", "split of the hub data set")
