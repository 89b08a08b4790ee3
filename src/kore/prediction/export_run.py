"""One export from its options to its file or folder, compared with the model it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kore.common.arrays import Floats
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.common.flags import DeviceOptions
from kore.data.rows import read_examples
from kore.data.schema import Example
from kore.network.checkpoint import load_model
from kore.network.hf_folder import check_target, save_folder
from kore.network.locate import find_model
from kore.network.onnx_export import example_batch, onnx_bytes
from kore.network.onnx_file import OnnxClassifier, make_session
from kore.network.tagger_file import is_tagger, load_tagger, save_tagger_folder
from kore.network.tagger_onnx import tagger_onnx_bytes
from kore.network.trained import TrainedModel
from kore.prediction.options import ExportOptions
from kore.prediction.predictor import predict_examples
from kore.scoring.metrics import Scores, score

TOLERANCE = 1e-4  # how far a probability in full precision may be from the checkpoint's
_ENDINGS = {"hf": "_hf", "onnx": ".onnx", "onnx-int8": ".int8.onnx"}


def export(options: ExportOptions) -> Path:
    """Writes the export, says what it costs and returns its path.

    Raises:
        UserError: anything the user can fix; an earlier export is then unchanged.
    """
    model_file = find_model(options.model_file, options.model_dir)
    output = output_path(options, model_file)
    if is_tagger(model_file):
        return _export_tagger(options, model_file, output)
    if options.format == "onnx-int8" and not options.valid_file:
        raise UserError(
            "`valid_file` is missing: 8 bits change the scores, so name labelled examples on which "
            "both are compared"
        )
    trained = load_model(model_file)
    examples = _valid_rows(options, trained)
    if options.format == "hf":
        save_folder(output, trained, options.half)
    else:
        content = onnx_bytes(trained, int8=options.format == "onnx-int8")
        if options.format == "onnx":
            check_parity(content, trained)
        with atomic_write(output, "wb") as file:
            file.write(content)
    print(f"{model_file} exported as {options.format}: {output} ({size_mib(output):.1f} MiB)")
    if examples:
        print(comparison(trained, load_model(output), examples, options))
    return output


def _export_tagger(options: ExportOptions, model_file: Path, output: Path) -> Path:
    if options.valid_file:
        raise UserError(
            f"{model_file} is a tagger, whose exports are compared by src/inference_ner.py and "
            "src/evaluation.py with `task` ner; leave `valid_file` out"
        )
    trained = load_tagger(model_file)
    if options.format == "hf":
        save_tagger_folder(output, trained, options.half)
    else:
        content = tagger_onnx_bytes(trained, int8=options.format == "onnx-int8")
        with atomic_write(output, "wb") as file:
            file.write(content)
    print(f"{model_file} exported as {options.format}: {output} ({size_mib(output):.1f} MiB)")
    return output


def output_path(options: ExportOptions, model_file: Path) -> Path:
    """`--output_file`, or the checkpoint's name with the format's ending in `--model_dir`.

    Raises:
        UserError: the name does not suit the format, or would replace something else.
    """
    name = f"{model_file.stem}{_ENDINGS[options.format]}"
    output = Path(options.output_file or Path(options.model_dir) / name)
    if options.format == "hf":
        check_target(output)
    elif output.suffix != ".onnx" or output.is_dir():
        raise UserError(f"`output_file` {output} must be a file that ends in .onnx")
    if output.resolve() == model_file.resolve():
        raise UserError(f"{output} is the model itself; pass another `output_file`")
    return output


def check_parity(content: bytes, trained: TrainedModel) -> None:
    """Runs an ONNX file in full precision beside the model it was made from.

    Raises:
        RuntimeError: they disagree, which is a defect of KoRE or of the exporter.
    """
    batch = example_batch(trained)
    exported = OnnxClassifier(make_session(content), "")
    trained.model.eval()
    with torch.inference_mode():
        probs = [
            model(*batch.inputs).float().softmax(dim=-1) for model in (trained.model, exported)
        ]
    difference = float((probs[0] - probs[1]).abs().max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the ONNX file differs by {difference:.1e} from the checkpoint")


def comparison(
    trained: TrainedModel, exported: TrainedModel, examples: list[Example], options: ExportOptions
) -> str:
    """Scores of both on labelled examples, in float32 on the CPU, and the change, as a table."""
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    gold = np.asarray(trained.labels.index(str(example.label) for example in examples))
    probs: list[Floats] = []
    scores: list[Scores] = []
    for model in (trained, exported):
        probs.append(predict_examples(model, examples, accelerator, options.batch_tokens))
        scores.append(score(gold, probs[-1], trained.labels))
    before, after = scores
    changed = int((probs[0].argmax(axis=1) != probs[1].argmax(axis=1)).sum())
    return "\n".join(
        [
            f"\n{len(examples)} examples of {options.valid_file}",
            f"{'':12} {'micro-F1':>8} {'AUPRC':>8}",
            *(
                f"{name:12} {one.micro_f1:8.2f} {one.auprc:8.2f}"
                for name, one in (("checkpoint", before), (options.format, after))
            ),
            f"{'change':12} {after.micro_f1 - before.micro_f1:+8.2f} "
            f"{after.auprc - before.auprc:+8.2f}",
            f"{changed} examples are given another relation; the largest change of a probability "
            f"is {np.abs(probs[0] - probs[1]).max():.1e}",
        ]
    )


def size_mib(path: Path) -> float:
    """Size of a file or of the files of a folder, in MiB."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20


def _valid_rows(options: ExportOptions, trained: TrainedModel) -> list[Example]:
    if not options.valid_file:
        return []
    return read_examples(
        Path(options.valid_file),
        need_labels=True,
        known_labels=trained.labels.names,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
