"""A corpus predicted by many processes, on one machine or a cluster, with Ray Data.

See ray_corpus.py. At the end the rows written are counted against those checked.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.common.memory import keep_freed_memory_for
from kore.data.corpus import input_files, parse_rows, read_rows, summarize
from kore.data.schema import Example
from kore.network.checkpoint import load_model, model_from_payload, model_payload
from kore.network.locate import find_model
from kore.prediction.formats import PREDICTIONS
from kore.prediction.options import RayOptions
from kore.prediction.predictions import write_schema
from kore.prediction.predictor import predict_examples, warn_of_unseen_types
from kore.prediction.ray_corpus import Attempts, check_output, check_rows, computed_parts
from kore.prediction.ray_session import check_resources, ray, ray_session


class RayPredictor:
    """What a worker holds: the model on its device. A restarted worker makes it again.

    Args:
        payload: reference to the checkpoint's content, so that no worker needs the file.
        attempts: folder for `Attempts`.
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
        self.attempts = Attempts(attempts)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Predictions, as `PREDICTIONS`, of the faultless rows of a table of `corpus.ROWS`.

        Raises:
            UserError: memory is full, or these rows killed too many workers.
        """
        if not table.num_rows:
            return PREDICTIONS.empty_table()
        with self.attempts.counted(table):
            return self.predict(parse_rows(table).examples)

    def predict(self, examples: list[Example]) -> pa.Table:
        """Predictions, as `PREDICTIONS`, in the order of the examples."""
        if not examples:
            return PREDICTIONS.empty_table()
        probs = predict_examples(self.trained, examples, self.accelerator, self.batch_tokens)
        names = self.trained.labels.names
        labels = [names[best] for best in probs.argmax(axis=1)]
        ids = [example.id for example in examples]
        return pa.table([ids, labels, probs.tolist()], schema=PREDICTIONS)


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
    check_output(output, [*files, model_file.absolute()], options.overwrite)
    trained = load_model(model_file)
    payload = model_payload(trained)
    if not options.num_gpus_per_worker:  # what a worker would refuse is refused here, at once
        make_accelerator(DeviceOptions(use_cuda="False", precision=options.precision))
    read = functools.partial(read_rows, rows_per_table=options.rows_per_task)
    with ray_session(options.address, options.num_workers):
        check_resources(options.num_workers, options.num_gpus_per_worker)
        checked = check_rows(files, read, summarize, options.test_file, options)
        arguments = (options, model_file, ray.put(payload))
        with computed_parts(files, read, RayPredictor, arguments, options) as folder:
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
