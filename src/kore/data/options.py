"""Options of reading, splitting and generating examples."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import Checked, option


@dataclass
class RowOptions(Checked, group="Output and faulty rows"):
    output_dir: str = option("outputs", "folder for predictions and rejected rows")
    on_bad_row: str = option(
        "stop",
        "a faulty row stops the run, or is skipped and written to OUTPUT_DIR/FILE.rejected.csv",
        choices=("stop", "skip"),
    )


@dataclass
class SchemaOptions(Checked, group="Relations"):
    label2id_path: str = option(
        "src/tools/dict_label_to_num.pkl",
        "relation names and their numbers (.pkl or .json); auto = the labels of the data",
    )
    id2label_path: str = option("", "the reverse map, checked against LABEL2ID_PATH; '' = none")
    no_relation_label: str = option(
        "no_relation", "the relation that means 'none of them'; '' where the schema has none"
    )


@dataclass
class SampleOptions(Checked):
    data_dir: str = option("data/sample", "folder for the generated files", essential=True)
    num_rows: int = option(
        1200, "labelled examples to generate", within="[300, 1000000]", essential=True
    )
    seed: int = option(42, "random seed", within="[0, 4294967295]", essential=True)
