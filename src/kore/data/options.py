"""Options of reading, splitting and generating examples."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import (
    _Checked,
    option,
)


@dataclass
class RowOptions(_Checked):
    on_bad_row: str = option(
        "stop",
        "a faulty row stops the run, or is skipped and written to OUTPUT_DIR/FILE.rejected.csv",
        choices=("stop", "skip"),
    )
    output_dir: str = option("outputs", "folder for predictions and rejected rows")


@dataclass
class SchemaOptions(_Checked):
    label2id_path: str = option(
        "src/tools/dict_label_to_num.pkl",
        "relation names and their numbers (.pkl or .json); auto = the labels of the data",
    )
    id2label_path: str = option("", "the reverse map, checked against LABEL2ID_PATH; '' = none")
    no_relation_label: str = option(
        "no_relation", "the relation that means 'none of them'; '' where the schema has none"
    )


@dataclass
class PrepareOptions(RowOptions):
    input_file: str = option("data/train.csv", "all labelled rows (.csv, .json, .jsonl)")
    hub_dataset: str = option("", "instead, a data set on the hub, e.g. klue/klue")
    hub_config: str = option("re", "the hub data set's configuration")
    hub_split: str = option("train", "the hub data set's split")
    data_dir: str = option("data", "folder for train_data.csv and valid_data.csv")
    valid_ratio: float = option(0.2, "share of the rows held out", within="(0, 1)")
    group_by_sentence: bool = option(True, "keep every sentence on one side of the split")
    overwrite: bool = option(False, "replace train_data.csv and valid_data.csv where they exist")
    seed: int = option(42, "fixes the split", within="[0, 4294967295]")


@dataclass
class SampleOptions(_Checked):
    data_dir: str = option("data/sample", "folder for the generated files")
    num_rows: int = option(1200, "labelled rows to make", within="[300, 1000000]")
    seed: int = option(42, "fixes the rows", within="[0, 4294967295]")
