"""Puts an encoder, a relation model and a tagger into the package, as the models that ship.

    python benchmarks/ship_models.py --encoder models/kore --relation_model models/best.pth
    python benchmarks/ship_models.py --tagger models/tagger.pth

Any may be left out. Weights are written in half precision; checksums are written beside them.
The model cards (README.md) are written by hand and stay as they are.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

import _path  # noqa: F401
from kore.common.files import atomic_folder
from kore.common.flags import KORE_MINI
from kore.network.checkpoint import load_model
from kore.network.hf_folder import name_known_class, save_folder, stored
from kore.network.pretrained import load_pretrained, silenced_hf_logging
from kore.network.shipped import MODELS, RELATION_MODEL, TAGGER, write_checksums
from kore.network.tagger_file import load_tagger, save_tagger_folder

CARD = "README.md"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--encoder", help="folder that src/pretrain.py wrote")
    parser.add_argument("--relation_model", type=Path, help="checkpoint that src/train.py wrote")
    parser.add_argument("--tagger", type=Path, help="checkpoint that src/train_ner.py wrote")
    parser.add_argument("--folder", type=Path, default=MODELS, help="where they go")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    if args.encoder:
        encoder, tokenizer = load_pretrained(args.encoder, 0.0, AutoModelForMaskedLM)
        ship(args.folder / KORE_MINI, lambda path: save_encoder(path, encoder, tokenizer))
    if args.relation_model:
        trained = load_model(args.relation_model)
        ship(args.folder / RELATION_MODEL, lambda path: save_folder(path, trained, half=True))
    if args.tagger:
        tagger = load_tagger(args.tagger)
        ship(args.folder / TAGGER, lambda path: save_tagger_folder(path, tagger, half=True))


def ship(folder: Path, save: Callable[[Path], None]) -> None:
    """Saves a model to `folder`, keeps the card that is there, and writes the checksums."""
    card = folder / CARD
    kept = card.read_text(encoding="utf-8") if card.is_file() else None
    shutil.rmtree(folder, ignore_errors=True)  # which is in Git
    save(folder)
    if kept is not None:
        card.write_text(kept, encoding="utf-8")
    write_checksums(folder)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    print(f"{folder}: {size:.1f} MiB")


def save_encoder(path: Path, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """An encoder in half precision with its tokenizer and its head, which names masked tokens.

    Its config says float32, so that transformers computes in it, on a CPU as well.
    """
    tokenizer.model_max_length = encoder.config.max_position_embeddings
    with atomic_folder(path) as folder, silenced_hf_logging():
        encoder.save_pretrained(folder, state_dict=stored(encoder.state_dict(), half=True))
        tokenizer.save_pretrained(folder)
        name_known_class(folder / "tokenizer_config.json")


if __name__ == "__main__":
    main()
