"""A corpus predicted by many processes, on one machine or a cluster, with Ray Data.

    files --read_rows (tasks)--> tables --RayPredictor (actors)--> predictions --(tasks)--> Parquet

The rows are read twice: first all of them are checked, so that a fault in the last file is reported
before hours of prediction and not after. Ray repeats what a process was computing when it died; at
the end the rows written are counted against those checked.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_folder, atomic_write
from kore.common.flags import DeviceOptions
from kore.common.memory import keep_freed_memory_for
from kore.data.corpus import FAULTS, ROWS, input_files, parse_rows, read_rows, summarize
from kore.data.faults import SHOWN_FAULTS, faults_error
from kore.data.schema import Example
from kore.network.checkpoint import load_model, model_from_payload, model_payload
from kore.network.locate import find_model
from kore.prediction.formats import PREDICTIONS
from kore.prediction.options import RayOptions
from kore.prediction.predictions import write_schema
from kore.prediction.predictor import predict_examples, warn_of_unseen_types
from kore.prediction.ray_session import check_resources, ray, ray_errors, ray_session

ROWS_PER_PART = 100_000  # about 25 MB at 30 relations
MOST_ATTEMPTS = 5  # a worker may die by chance; so often over the same rows, it is the rows


@dataclass
class Checked:
    """What a pass over all rows found; `first` are faults as `corpus.FAULTS`, by file and line."""

    rows: int = 0
    faulty_rows: int = 0
    faults: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)
    types: set[str] = field(default_factory=set)

    def add(self, rows: int, faults: list[dict[str, Any]], types: list[str]) -> None:
        """Adds the summary of a table; no row is in two tables."""
        self.rows += rows
        self.faults += len(faults)
        self.faulty_rows += len({(fault["file"], fault["line"]) for fault in faults})
        by_place = sorted([*self.first, *faults], key=lambda fault: (fault["file"], fault["line"]))
        self.first = by_place[:SHOWN_FAULTS]
        self.types |= set(types)


class RayPredictor:
    """What a worker holds: the model on its device. A restarted worker makes it again.

    Args:
        payload: reference to the checkpoint's content, so that no worker needs the file.
        attempts: folder that counts how often rows were begun; Ray itself repeats rows that kill
            their worker, by their size for example, without end.
    """

    def __init__(
        self, options: RayOptions, model_file: Path, payload: ray.ObjectRef, attempts: Path
    ) -> None:
        use_cuda = "True" if options.num_gpus_per_worker else "False"
        device = DeviceOptions(use_cuda=use_cuda, precision=options.precision)
        self.accelerator = make_accelerator(device)
        self.trained = model_from_payload(model_file, ray.get(payload))
        keep_freed_memory_for(self.trained.model)
        self.batch_tokens = options.batch_tokens
        self.attempts = attempts

    def __call__(self, table: pa.Table) -> pa.Table:
        """Predictions, as `PREDICTIONS`, of the faultless rows of a table of `corpus.ROWS`.

        Raises:
            UserError: memory is full, or these rows killed too many workers.
        """
        if not table.num_rows:
            return PREDICTIONS.empty_table()
        attempts = self._begin(table)
        predictions = self.predict(parse_rows(table).examples)
        attempts.unlink(missing_ok=True)
        return predictions

    def predict(self, examples: list[Example]) -> pa.Table:
        """Predictions, as `PREDICTIONS`, in the order of the examples."""
        if not examples:
            return PREDICTIONS.empty_table()
        probs = predict_examples(self.trained, examples, self.accelerator, self.batch_tokens)
        names = self.trained.labels.names
        labels = [names[best] for best in probs.argmax(axis=1)]
        ids = [example.id for example in examples]
        return pa.table([ids, labels, probs.tolist()], schema=PREDICTIONS)

    def _begin(self, table: pa.Table) -> Path:
        """Notes that the rows of a table are begun, in a file as long as their attempts."""
        file, line = table["file"][0].as_py(), table["line"][0].as_py()
        attempts = self.attempts / hashlib.sha256(f"{file}:{line}".encode()).hexdigest()
        with attempts.open("ab") as counter:
            counter.write(b".")
            count = counter.tell()
        if count > MOST_ATTEMPTS:
            raise UserError(
                f"{file}:{line}: a worker died {MOST_ATTEMPTS} times over the {table.num_rows} "
                "rows from here on, most likely because memory was full; pass a smaller "
                "`rows_per_task` or `batch_tokens`, or fewer `num_workers`"
            )
        return attempts


def predict_corpus(options: RayOptions) -> Path:
    """Predicts every example of `test_file` and returns the folder of Parquet parts.

    Rows are in no particular order, each is known by its id. Beside the folder stand
    `<name>.labels.json`, the label order of `probs`, and with `on_bad_row` skip
    `<name>.rejected.parquet`, the faulty rows and why. Files and folder must be reachable by the
    same path from every machine of the cluster, as must this source.

    Raises:
        UserError: anything the user can fix; an earlier folder is then unchanged.
    """
    output = Path(options.output_dir).absolute()
    files = input_files(Path(options.test_file))
    model_file = find_model(options.model_file, options.model_dir)
    _check_output(output, [*files, model_file.absolute()], options.overwrite)
    trained = load_model(model_file)
    payload = model_payload(trained)
    if not options.num_gpus_per_worker:  # what a worker would refuse is refused here, at once
        make_accelerator(DeviceOptions(use_cuda="False", precision=options.precision))
    with ray_session(options.address, options.num_workers):
        check_resources(options.num_workers, options.num_gpus_per_worker)
        checked = _check_rows(files, output, options)
        with atomic_folder(output) as folder, ray_errors():
            attempts = folder / "attempts"
            attempts.mkdir()
            arguments = (options, model_file, ray.put(payload), attempts)
            _write_predictions(_tables(files, options), arguments, folder)
            shutil.rmtree(attempts)
            written = sum(pq.read_metadata(part).num_rows for part in folder.glob("*.parquet"))
            if written != checked.rows - checked.faulty_rows:
                raise UserError(
                    f"{checked.rows - checked.faulty_rows} rows were checked but {written} "
                    f"predicted: {options.test_file} changed meanwhile; run it again"
                )
            write_schema(output.with_name(f"{output.name}.parquet"), trained.labels)
    warn_of_unseen_types(trained, checked.types)
    print(f"{written} examples predicted with {model_file}: {options.output_dir}")
    return output


def _check_output(output: Path, inputs: list[Path], overwrite: bool) -> None:
    """Refuses to replace anything but the parts of an earlier run."""
    if output.exists() and not output.is_dir():
        raise UserError(f"`output_dir` {output} is a file; name a folder")
    found = list(output.iterdir()) if output.is_dir() else []
    if found and not overwrite:
        raise UserError(f"{output} is not empty; move it away, or pass `overwrite` to replace it")
    others = [path for path in found if path.suffix != ".parquet" or not path.is_file()]
    if others:
        raise UserError(
            f"{output} holds more than Parquet parts ({others[0].name}), which `overwrite` would "
            "remove; name another `output_dir`"
        )
    inside = [path for path in inputs if output.resolve() in path.resolve().parents]
    if inside:
        raise UserError(f"{inside[0]} lies in `output_dir` {output}; name another folder")


def _tables(files: list[Path], options: RayOptions) -> ray.data.Dataset:
    """Tables of `corpus.ROWS`, one task a file."""

    def read(batch: pa.Table) -> Iterator[pa.Table]:
        yield ROWS.empty_table()  # a file without rows still has their columns
        for file in batch["file"].to_pylist():
            yield from read_rows(Path(file), options.rows_per_task)

    items = [{"file": str(file)} for file in files]
    paths = ray.data.from_items(items, override_num_blocks=len(items))
    return paths.map_batches(read, batch_size=1, batch_format="pyarrow")


def _write_predictions(rows: ray.data.Dataset, arguments: tuple, folder: Path) -> None:
    options = arguments[0]
    # Workers share the work by blocks. Without strict, Ray joins reading and predicting into one
    # step, in which a file is the work of a single worker.
    tasks = rows.repartition(target_num_rows_per_block=options.rows_per_task, strict=True)
    predictions = tasks.map_batches(
        RayPredictor,
        fn_constructor_args=arguments,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=options.num_workers),
        num_gpus=options.num_gpus_per_worker or None,
    )
    predictions.write_parquet(str(folder), min_rows_per_file=ROWS_PER_PART)


def _check_rows(files: list[Path], output: Path, options: RayOptions) -> Checked:
    """Parses every row. Faulty ones stop the run, or are written to the rejected rows.

    Raises:
        UserError: there are faulty rows, or none that can be used.
    """
    checked = Checked()
    rejected = output.with_name(f"{output.name}.rejected.parquet")
    with (
        atomic_write(rejected, "wb") as file,
        pq.ParquetWriter(file, FAULTS) as writer,
        ray_errors(),
    ):
        summaries = _tables(files, options).map_batches(
            summarize, batch_size=options.rows_per_task, batch_format="pyarrow"
        )
        tables: Iterable[Any] = summaries.iter_batches(batch_size=None, batch_format="pyarrow")
        for table in tables:
            for summary in table.to_pylist():
                checked.add(**summary)
                if summary["faults"]:
                    writer.write_table(pa.Table.from_pylist(summary["faults"], schema=FAULTS))
        if checked.faults and options.on_bad_row == "stop":
            first = ["{file}:{line} {column}: {reason}".format(**fault) for fault in checked.first]
            raise faults_error(options.test_file, first, checked.faults, checked.faulty_rows)
        if checked.rows == checked.faulty_rows:
            hint = " that can be used" if checked.faults else ""
            raise UserError(f"{options.test_file}: holds no rows{hint}")
    if checked.faults:
        print(f"{checked.faulty_rows} faulty rows set aside in {rejected}", file=sys.stderr)
    else:
        rejected.unlink()
    return checked
