"""`mini`: a small encoder made from scratch, with a WordPiece vocabulary learned from the texts.

For training alone it is a BERT, for pretraining a ModernBERT.

It needs no download. Its size was chosen by measurement, see benchmarks/LOG.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.trainers import WordPieceTrainer
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
)

_SURPLUS = 1.25
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@dataclass(frozen=True)
class MiniSize:
    """Shape of the encoder; feed-forward layers are four times as wide, gated ones twice."""

    num_layers: int = 1
    hidden_size: int = 192
    num_heads: int = 4
    vocab_size: int = 8_000
    max_positions: int = 512


SIZE = MiniSize()


def learn_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    max_letters: int | None = None,
    needed: str = "",
    joint: str = "",
) -> PreTrainedTokenizerFast:
    """A cased WordPiece tokenizer of at most `vocab_size` tokens, learned from `texts`.

    The result depends on the texts alone, so that two runs agree.

    Args:
        max_letters: only so many of the most frequent characters become pieces, so that rare ones
            do not fill the vocabulary of large texts. Any other character is [UNK] by itself, and
            not the whole word around it. By default all become pieces.
        needed: characters that are pieces however rare they are.
        joint: a letter that stands in `texts` before each part of a word but the first, with a
            space before it. No piece is learned across it; it is none of the pieces itself.
    """
    texts = list(texts)
    wanted_size = vocab_size
    if joint:
        vocab_size = int(_SURPLUS * vocab_size)  # pieces learned both after a joint and elsewhere
        needed, max_letters = needed + joint, None if max_letters is None else max_letters + 1
    letters = None if max_letters is None else _frequent_letters(texts, max_letters, needed)
    learner = _wordpiece({}, letters)
    # The trainer numbers the letters inside words in a random order, and breaks ties by it. Given
    # as special tokens they are numbered beforehand; only the vocabulary is kept.
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *_inner_letters(texts, learner)],
        show_progress=False,
        min_frequency=2,
        **({} if letters is None else _fixed_alphabet(letters)),
    )
    learner.train_from_iterator(texts, trainer)
    vocab = learner.get_vocab()
    if joint:
        vocab = _without_joints(vocab, joint, wanted_size)
        letters = None if letters is None else [letter for letter in letters if letter != joint]
    tokenizer = _wordpiece(vocab, letters)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _without_joints(vocab: dict[str, int], joint: str, size: int) -> dict[str, int]:
    """The pieces as they stand in texts without joints, numbered anew; the first `size` of them."""
    inner = "##"
    pieces = [piece for piece in sorted(vocab, key=vocab.__getitem__) if piece != inner + joint]
    kept = (inner + piece[1:] if piece[0] == joint else piece for piece in pieces)
    different = dict.fromkeys(piece for piece in kept if piece != inner)
    return {piece: number for number, piece in enumerate(list(different)[:size])}


def bounded_sample(texts: Sequence[str], max_characters: int) -> Sequence[str]:
    """Every n-th text, n as small as `max_characters` allows: enough to learn a vocabulary from."""
    return texts[:: max(1, -(-sum(map(len, texts)) // max_characters))]


def _wordpiece(vocab: dict[str, int], letters: Sequence[str] | None) -> Tokenizer:
    """An untrained tokenizer that isolates every character that is none of `letters`."""
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = words = pre_tokenizers.BertPreTokenizer()
    if letters is not None:
        known = "".join(f"\\x{{{ord(letter):x}}}" for letter in letters)
        others = pre_tokenizers.Split(Regex(f"[^{known}]"), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, others])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _fixed_alphabet(letters: list[str]) -> dict[str, Any]:
    """Settings of the trainer with which these and no other letters become pieces."""
    return {"initial_alphabet": letters, "limit_alphabet": len(letters)}


def _frequent_letters(texts: Iterable[str], most: int, needed: str) -> list[str]:
    """The needed and the most frequent characters; of equal ones those that Unicode has first."""
    normalizer = _wordpiece({}, None).normalizer
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    letters = [letter for letter in {*counts, *needed} if not letter.isspace()]
    ranks = {letter: (letter not in needed, -counts[letter], letter) for letter in letters}
    return sorted(sorted(letters, key=ranks.__getitem__)[:most])


def _inner_letters(texts: Iterable[str], tokenizer: Tokenizer) -> list[str]:
    """Every letter that follows another in a word, as a piece: ["##다", "##율"] for 도율다."""
    normal = (tokenizer.normalizer.normalize_str(text) for text in texts)
    words = (word for text in normal for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
    return sorted({f"##{letter}" for word in words for letter in word[1:]})


def make_encoder(vocab_size: int, size: MiniSize) -> BertModel:
    """A BERT with random weights, drawn from torch's global generator."""
    return BertModel(_config(vocab_size, size), add_pooling_layer=False)


def make_masked_lm(vocab_size: int, size: MiniSize) -> ModernBertForMaskedLM:
    """A ModernBERT with random weights and a masked-language-modelling head, for pretraining.

    Every layer attends to all tokens. From masked words it learns several times as fast as a BERT
    of the same size, see benchmarks/LOG.md.
    """
    special = {f"{name[1:-1].lower()}_token_id": i for i, name in enumerate(SPECIAL_TOKENS)}
    rotary = {"rope_type": "default", "rope_theta": 10_000.0}
    config = ModernBertConfig(
        vocab_size=vocab_size,
        hidden_size=size.hidden_size,
        num_hidden_layers=size.num_layers,
        num_attention_heads=size.num_heads,
        intermediate_size=2 * size.hidden_size,
        max_position_embeddings=size.max_positions,
        layer_types=["full_attention"] * size.num_layers,
        rope_parameters={"full_attention": rotary, "sliding_attention": rotary},
        pad_token_id=special["pad_token_id"],
        bos_token_id=special["cls_token_id"],
        cls_token_id=special["cls_token_id"],
        sep_token_id=special["sep_token_id"],
        eos_token_id=special["sep_token_id"],
    )
    return ModernBertForMaskedLM(config)


def _config(vocab_size: int, size: MiniSize) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=size.hidden_size,
        num_hidden_layers=size.num_layers,
        num_attention_heads=size.num_heads,
        intermediate_size=4 * size.hidden_size,
        max_position_embeddings=size.max_positions,
        pad_token_id=SPECIAL_TOKENS.index("[PAD]"),
    )
