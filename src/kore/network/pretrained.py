"""Pretrained encoders: loading and checking them, dropout, marker tokens, positions."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from tokenizers import AddedToken
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    ModernBertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.modernbert.modeling_modernbert import ModernBertAttention
from transformers.utils import logging as hf_logging

from kore.common.errors import EncoderUnavailableError, UnfitError, UserError, first_line
from kore.common.flags import KORE_MINI
from kore.data.dataset import EncodedExample
from kore.network.shipped import resolve

_LOGGER = logging.getLogger(__name__)

# What the readers of missing, foreign or damaged files raise.
_UNREADABLE = (
    OSError,
    ValueError,
    ImportError,
    RuntimeError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
)
_DROPOUTS = (  # of BERT, and of ModernBERT
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "embedding_dropout",
    "attention_dropout",
    "mlp_dropout",
)
_FEWEST_TOKENS = 10  # of a real vocabulary, special tokens left out
_MOST_UNKNOWN = 0.5  # of all tokens of the training examples
_NAMED = 3  # weights that a message names


def load_pretrained(
    name_or_path: str, dropout: float, kind: Any = AutoModel
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder in float32 and its tokenizer.

    Args:
        name_or_path: a folder, a name on the Hugging Face Hub, an encoder that ships with KoRE, or
            a checkpoint of KoRE (.pth), whose encoder and tokenizer are taken.
        kind: one of transformers' AutoModel classes; all but AutoModel have a head of their own.

    Raises:
        EncoderUnavailableError: it cannot be loaded, or is no encoder AutoModel knows.
        UserError: weights of the encoder are missing or of another size, there is no tokenizer, or
            encoder and tokenizer do not belong together.
    """
    name_or_path = resolve(name_or_path)
    if Path(name_or_path).suffix == ".pth":
        encoder, tokenizer = _from_checkpoint(Path(name_or_path), kind)
    else:
        encoder = _load_encoder(name_or_path, kind)
        tokenizer = load_tokenizer(name_or_path)
    _check_vocabulary(name_or_path, encoder, tokenizer)
    set_dropout(encoder, dropout)
    return encoder, tokenizer


def load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or of a name on the Hugging Face Hub.

    Raises:
        UserError: there is none. transformers makes one up for a folder without the files of a
            tokenizer: it knows special tokens alone, and every word is unknown to it.
    """
    try:
        with silenced_hf_logging():
            tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False)
    except _UNREADABLE as error:
        raise UserError(
            f"no tokenizer in {name_or_path} ({first_line(error)}); check the name, or copy the "
            "tokenizer's files (tokenizer.json, vocab.txt or the like) there"
        ) from error
    words = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    if len(words) < _FEWEST_TOKENS:
        raise UserError(
            f"no tokenizer in {name_or_path}; copy the files of the original one (tokenizer.json, "
            "vocab.txt or the like) there"
        )
    return tokenizer


@contextmanager
def silenced_hf_logging() -> Iterator[None]:
    """Silences reports of unused weights and of retries; what goes wrong is raised to us."""
    before, hub_before = hf_logging.get_verbosity(), hub_logging.get_verbosity()
    showed_progress = hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        hf_logging.set_verbosity(before)
        hub_logging.set_verbosity(hub_before)
        if showed_progress:
            hf_logging.enable_progress_bar()


def wrong_weights(model: PreTrainedModel, found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Names of the encoder's weights that its files lack, and of those of another size.

    A pooler is not counted, which `RelationClassifier` leaves out.

    Args:
        found: what `from_pretrained` gives with `output_loading_info`.
    """
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    missing = [
        name
        for name in sorted(found["missing_keys"])
        if name.startswith(prefix) and not name.startswith(f"{prefix}pooler.")
    ]
    return missing, sorted(str(name) for name, *_ in found["mismatched_keys"])


def unknown_share(
    rows: Iterable[EncodedExample], tokenizer: PreTrainedTokenizerBase, name: str
) -> float:
    """The share, from 0 to 1, of the rows' tokens that are [UNK]; [CLS] and [SEP] are not counted.

    Raises:
        UserError: it is absurd: the tokenizer, called `name`, does not know the language.
    """
    left_out = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    count = unknown = 0
    for row in rows:
        tokens = [token for token in row.input_ids if token not in left_out]
        count += len(tokens)
        unknown += tokens.count(cast(int, tokenizer.unk_token_id))
    share = unknown / max(1, count)
    if share > _MOST_UNKNOWN:
        raise UserError(
            f"{share:.0%} of the tokens of the training examples are unknown to the tokenizer of "
            f"{name} ({tokenizer.unk_token}); is it made for another language?"
        )
    return share


def set_dropout(encoder: PreTrainedModel, dropout: float) -> None:
    """Sets every dropout inside the encoder, in its modules and in its config."""
    for name in _DROPOUTS:
        if hasattr(encoder.config, name):
            setattr(encoder.config, name, dropout)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        elif isinstance(module, ModernBertAttention):
            module.attention_dropout = dropout
            # transformers makes it a Dropout or an Identity by the config of the moment: the model
            # of a checkpoint would have one where that which was trained had none.
            module.out_drop = nn.Identity()


def add_marker_tokens(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: list[str]
) -> set[str]:
    """Gives `tokens` ids and embeddings of their own (drawn around the mean of the others).

    They are found in the raw text, before any normalisation, and are not "special" tokens: what
    looks like "[SEP]" in a user's sentence can stay ordinary text.

    Returns:
        Those that the tokenizer did not have before.
    """
    new = set(tokens) - set(tokenizer.get_vocab())
    if tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens]):
        encoder.resize_token_embeddings(len(tokenizer))
    return new


def set_embeddings(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Mapping[str, str]
) -> None:
    """The embedding of each token becomes the mean of those of its text's tokens."""
    words: Any = encoder.get_input_embeddings()
    with torch.no_grad():
        for token, text in texts.items():
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            words.weight[tokenizer.convert_tokens_to_ids(token)] = words.weight[ids].mean(dim=0)


def check_positions(encoder: PreTrainedModel, max_length: int, name: str) -> None:
    """Raises UnfitError where the encoder, called `name`, has fewer positions than `max_length`."""
    most = max_positions(encoder)
    if most is not None and max_length > most:
        raise UnfitError(
            f"`max_length` {max_length}, but {name} has positions for {most} tokens; pass "
            f"`max_length` {most} or less"
        )


def max_positions(encoder: PreTrainedModel) -> int | None:
    """Most tokens the encoder has positions for; None where positions are relative.

    RoBERTa counts positions from its padding index on, so the first ones are never used.
    """
    if isinstance(encoder, ModernBertModel):
        return int(encoder.config.max_position_embeddings)
    embeddings = getattr(encoder, "embeddings", None)
    embedding = getattr(embeddings, "position_embeddings", None)
    if not isinstance(embedding, nn.Embedding):
        return None
    unused = 0 if embedding.padding_idx is None else embedding.padding_idx + 1
    return embedding.num_embeddings - unused


def _from_checkpoint(path: Path, kind: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Encoder and tokenizer of a model of KoRE, to be trained further."""
    from kore.network.checkpoint import load_model  # which needs this module itself

    if kind is not AutoModel:
        raise UserError(
            f"{path}: a checkpoint of KoRE has no head that names masked tokens; name an encoder "
            "of the Hugging Face Hub, a folder, or mini"
        )
    trained = load_model(path)
    return trained.classifier.encoder, trained.input_encoder.tokenizer


def _load_encoder(name_or_path: str, kind: Any) -> PreTrainedModel:
    try:
        with silenced_hf_logging():
            encoder, found = kind.from_pretrained(
                name_or_path,
                dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,  # transformers would ask on the terminal
                ignore_mismatched_sizes=True,  # they are named below
            )
    except _UNREADABLE as error:
        raise EncoderUnavailableError(
            f"`model_name_or_path` {name_or_path}: no encoder can be loaded from a folder, the "
            f"cache or the hub by that name ({first_line(error)}); check the name, fetch the "
            f"model once while connected, or pass `model_name_or_path` {KORE_MINI}"
        ) from error
    _check_weights(name_or_path, encoder, found)
    return encoder


def _check_weights(name: str, model: PreTrainedModel, found: Mapping[str, Any]) -> None:
    """Refuses an encoder of which a part would stay as it was drawn at random."""
    missing, mismatched = wrong_weights(model, found)
    total = len(model.base_model.state_dict())
    if mismatched:
        raise UserError(
            f"{name}: {len(mismatched)} weights have other sizes than its config.json describes "
            f"({_some(mismatched)}); weights and config belong to different encoders"
        )
    if missing:
        others = sorted(found["unexpected_keys"])
        instead = f", but others ({_some(others)})" if others else ""
        raise UserError(
            f"{name}: its files lack {len(missing)} of the encoder's {total} weights "
            f"({_some(missing)}){instead}; they would stay random. Save the encoder itself with "
            "its save_pretrained, without the class around it"
        )
    if any("pooler." not in key for key in found["missing_keys"]):
        _LOGGER.info(f"{name}: its files hold the encoder alone; its head starts at random")


def _check_vocabulary(
    name: str, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Refuses a tokenizer whose tokens have no embedding."""
    embeddings = cast(nn.Embedding, encoder.get_input_embeddings()).num_embeddings
    highest = max(tokenizer.get_vocab().values())
    if highest >= embeddings:
        raise UserError(
            f"{name}: the tokenizer numbers its tokens up to {highest}, but the encoder has "
            f"{embeddings} embeddings; they belong to different encoders"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
