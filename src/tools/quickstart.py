"""What `bash train.sh` and `bash inference.sh` choose when a flag is left out.

Every choice made here is a flag of src/train.py or src/inference.py, is reported, and is never made
where the user gave that flag.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import inference
import train
from kore.common.errors import EncoderUnavailableError, UserError, run_command
from kore.common.flags import KORE_MINI, MINI, RECIPE, given_flags, given_value, parse_options
from kore.common.recipes import recipe_flags
from kore.conversion.options import PrepareOptions
from kore.data.options import SampleOptions
from kore.training.options import TrainOptions

DATA_DIR = Path("data")
SAMPLE_DIR = Path(SampleOptions.data_dir)

PRETRAINED_RECIPE = "best_single"
SMALL_RECIPES = {MINI: "mini_cpu", KORE_MINI: "kore_mini"}
SAMPLE_EPOCHS = "12"  # a thousand short examples need more passes than thirty thousand


def main(arguments: Sequence[str] | None = None) -> None:
    command, *flags = sys.argv[1:] if arguments is None else arguments
    sys.argv[0] = f"{command}.py"  # the name that --help shows
    {"train": quick_train, "inference": quick_inference}[command](flags)


def quick_train(flags: Sequence[str]) -> None:
    """Finds or generates the data, chooses the model by the machine, and trains."""
    if {"-h", "--help"} & set(flags):
        train.main(flags)
    given = given_flags(flags)
    if name := given_value(flags, RECIPE):
        given |= given_flags(recipe_flags(name, [field.name for field in fields(TrainOptions)]))
    data_flags = [] if "train_file" in given else _training_data(flags)
    if RECIPE in given:
        train.main([*data_flags, *flags])
        print("Next: bash inference.sh")
        return
    model = given_value(flags, "model_name_or_path")
    if model is not None:
        recipe = SMALL_RECIPES.get(model, PRETRAINED_RECIPE)
    elif _may_use_gpu(flags):
        recipe = PRETRAINED_RECIPE
    else:
        recipe = SMALL_RECIPES[KORE_MINI]
        print(f"Training {KORE_MINI}, the encoder that ships, on the CPU, as no CUDA GPU is used.")
    try:
        train.main([f"--{RECIPE}", recipe, *data_flags, *flags])
    except EncoderUnavailableError:
        if model is not None:
            raise
        named = parse_options(TrainOptions, [f"--{RECIPE}", recipe]).model_name_or_path
        print(
            f"{named} is not in the cache and cannot be downloaded.\n"
            f"Training {KORE_MINI} instead, the encoder that ships."
        )
        train.main([f"--{RECIPE}", SMALL_RECIPES[KORE_MINI], *data_flags, *flags])
    print("Next: bash inference.sh")


def quick_inference(flags: Sequence[str]) -> None:
    """Predicts data/test_data.csv, or the test examples of the sample if it does not exist."""
    default = DATA_DIR / "test_data.csv"
    sample = SAMPLE_DIR / "test_data.csv"
    is_chosen = {"test_file", "help"} & given_flags(flags) or "-h" in flags
    if is_chosen or default.exists() or not sample.exists():
        inference.main(flags)
        return
    print(f"{default} does not exist: predicting the generated examples of {sample}.")
    inference.main(["--test_file", str(sample), *flags])


def _training_data(flags: Sequence[str]) -> list[str]:
    """Flags for the data: train_data.csv as it is, train.csv split, or a generated sample.

    Raises:
        UserError: one of train_data.csv and valid_data.csv is missing.
    """
    halves = [DATA_DIR / "train_data.csv", DATA_DIR / "valid_data.csv"]
    missing = [half for half in halves if not half.exists()]
    if not missing:
        return []
    if len(missing) < len(halves):
        raise UserError(
            f"{missing[0]} is missing beside the other half of the data; add it, name both files "
            "with --train_file and --valid_file, or remove the other"
        )
    if (DATA_DIR / "train.csv").exists():
        from kore.conversion.prepare_run import prepare

        print(f"Splitting {DATA_DIR / 'train.csv'}:")
        options = parse_options(TrainOptions, flags)
        prepare(
            PrepareOptions(
                on_bad_row=options.on_bad_row, output_dir=options.output_dir, seed=options.seed
            )
        )
        return []
    import make_sample_data

    print(f"No {DATA_DIR / 'train_data.csv'} and no {DATA_DIR / 'train.csv'}: training on a sample")
    print("of generated examples, which shows that all works and says nothing about real text.")
    if not (SAMPLE_DIR / "test_gold.csv").exists():  # the last of its files that is written
        make_sample_data.main([])
    return [
        *("--train_file", str(SAMPLE_DIR / "train_data.csv")),
        *("--valid_file", str(SAMPLE_DIR / "valid_data.csv")),
        *("--num_epochs", SAMPLE_EPOCHS),
    ]


def _may_use_gpu(flags: Sequence[str]) -> bool:
    if (given_value(flags, "use_cuda") or "").lower() == "false":
        return False
    import torch  # seconds to import

    return torch.cuda.is_available()


if __name__ == "__main__":
    run_command(main)
