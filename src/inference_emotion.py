"""Predict the labels of every text: `python src/inference_emotion.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("predict-emotion")

if __name__ == "__main__":
    run_command(main)
