"""The triples of a corpus by many processes, on one machine or a cluster, with Ray Data.

See prediction/ray_corpus.py.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.corpus import parse_texts, read_texts, summarize_texts, text_input_files
from kore.extraction.assembly import make_extractor
from kore.extraction.options import ExtractOnRayOptions
from kore.extraction.output import COLUMNS, cells_of
from kore.extraction.pipeline import records_of
from kore.extraction.sentences import splitter_of
from kore.extraction.types import check_types, inverses_at
from kore.network.checkpoint import load_model, model_from_payload, model_payload
from kore.network.locate import find_model, find_tagger
from kore.network.tagger_file import load_tagger, tagger_from_payload, tagger_payload
from kore.prediction.ray_corpus import Attempts, check_output, check_rows, computed_parts
from kore.prediction.ray_session import check_resources, ray, ray_session

_NUMBERS = {"probability": pa.float64()}
TRIPLES = pa.schema(
    [
        (name, pa.int64() if name.endswith(("_start", "_end")) else _NUMBERS.get(name, pa.string()))
        for name in COLUMNS
    ]
)


class RayExtractor:
    """What a worker holds: both models on its device. A restarted worker makes them again.

    Args:
        payloads: reference to the content of the tagger and of the relation model.
        attempts: folder for `Attempts`.
    """

    def __init__(
        self, options: ExtractOnRayOptions, payloads: ray.ObjectRef, attempts: Path
    ) -> None:
        use_cuda = "True" if options.num_gpus_per_worker else "False"
        device = DeviceOptions(use_cuda=use_cuda, precision=options.precision)
        tagger, relations = ray.get(payloads)
        self.extractor = make_extractor(
            tagger_from_payload(Path("tagger"), tagger),
            model_from_payload(Path("relations"), relations),
            make_accelerator(device),
            inverses=options.inverses,
            split=splitter_of(options.sentences),
            min_probability=options.min_probability,
            batch_tokens=options.batch_tokens,
        )
        self.attempts = Attempts(attempts)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The triples, as `TRIPLES`, of a table of texts.

        Raises:
            UserError: memory is full, or these texts killed too many workers.
        """
        if not table.num_rows:
            return TRIPLES.empty_table()
        with self.attempts.counted(table):
            return self.extract(table)

    def extract(self, table: pa.Table) -> pa.Table:
        """The same without counting."""
        texts, _ = parse_texts(table)
        found = self.extractor([row.text for row in texts])
        records = [
            record
            for row, one in zip(texts, found, strict=True)
            for record in records_of(row.id, one)
        ]
        rows = [
            cells_of({**triple, "document": record["document"], "sentence": record["sentence"]})
            for record in records
            for triple in record["triples"]
        ]
        columns: list[Any] = list(zip(*rows, strict=True)) or [[] for _ in TRIPLES]
        return pa.table([list(column) for column in columns], schema=TRIPLES)


def extract_corpus(options: ExtractOnRayOptions) -> Path:
    """Extracts the triples of every text of `input_file`; returns the folder of Parquet parts.

    Rows are in no particular order; each names its document and has its sentence as evidence.

    Raises:
        UserError: anything the user can fix; an earlier folder is then unchanged.
    """
    output = Path(options.output_dir).absolute()
    corpus = Path(options.input_file).absolute()
    files = text_input_files(corpus)
    tagger_file = find_tagger(options.ner_model, options.model_dir)
    model_file = find_model(options.model_file, options.model_dir)
    models = [tagger_file.absolute(), model_file.absolute()]
    check_output(output, [*files, *models], options.overwrite)
    tagger, relations = load_tagger(tagger_file), load_model(model_file)
    check_types(tagger, relations)
    inverses_at(options.inverses, relations.labels)  # what a worker would refuse is refused here
    splitter_of(options.sentences)
    if not options.num_gpus_per_worker:
        make_accelerator(DeviceOptions(use_cuda="False", precision=options.precision))
    payloads = (tagger_payload(tagger), model_payload(relations))
    read = functools.partial(
        read_texts,
        corpus=corpus,
        column=options.text_column,
        rows_per_table=options.rows_per_task,
    )
    before = _stamps(files)
    with ray_session(options.address, options.num_workers):
        check_resources(options.num_workers, options.num_gpus_per_worker)
        checked = check_rows(files, read, summarize_texts, options.input_file, options)
        arguments = (options, ray.put(payloads))
        with computed_parts(files, read, RayExtractor, arguments, options) as folder:
            triples = sum(pq.read_metadata(part).num_rows for part in folder.glob("*.parquet"))
            if _stamps(files) != before:
                raise UserError(f"{options.input_file} changed meanwhile; run it again")
    texts = checked.rows - checked.faulty_rows
    print(
        f"{triples} triples of {texts} texts, read with {tagger_file} and {model_file}: "
        f"{options.output_dir}"
    )
    return output


def _stamps(files: list[Path]) -> list[tuple[int, int]]:
    """Size and time of each file: another one was written meanwhile."""
    return [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
