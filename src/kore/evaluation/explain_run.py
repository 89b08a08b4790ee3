"""The command that explains one prediction: text on stdout, two pictures and a JSON file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kore.common.devices import make_accelerator, make_deterministic
from kore.common.files import atomic_write, safe_name
from kore.common.flags import DeviceOptions
from kore.evaluation.explanation import Explanation, Part, explain_example, find_example
from kore.evaluation.explanation_figures import attention_heatmap, attribution_bars, printable
from kore.evaluation.options import ExplainOptions
from kore.network.checkpoint import load_model
from kore.network.locate import find_model
from kore.prediction.predictor import warn_of_unseen_types

SHOWN_RELATIONS = 3
SHOWN_WORDS = 10
FAINTEST = 0.05  # of the largest attribution, to be coloured
LARGEST_GAP = 0.05  # of the largest attribution; above it, more steps are recommended

# Backgrounds of xterm's 256 colours from faint to strong, under black letters.
_FOR, _AGAINST = (195, 153, 117, 75), (224, 217, 210, 203)
_RESET = "\x1b[0m"


def explain(options: ExplainOptions) -> Path:
    """Prints the explanation, writes its pictures and its JSON, and returns the JSON's path.

    Raises:
        UserError: anything the user can fix.
    """
    model_file = find_model(options.model_file, options.model_dir)
    trained = load_model(model_file)
    # Gradients of the weights, which are not needed, would take as much memory as the weights.
    trained.classifier.requires_grad_(False)
    example = find_example(Path(options.data_file), options.example_id)
    make_deterministic()
    accelerator = make_accelerator(DeviceOptions(precision="fp32", use_cuda=options.use_cuda))
    explanation = explain_example(
        trained,
        example,
        accelerator.device,
        relation=options.relation,
        layer=options.layer,
        steps=options.steps,
        batch_tokens=options.batch_tokens,
    )
    in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print("\n".join(report_lines(explanation, in_colour)))
    warn_of_unseen_types(trained, {example.subject.type, example.object.type})
    stem = f"{safe_name(model_file.stem)}_{safe_name(explanation.id)}"
    return write_files(explanation, options, stem)


def write_files(explanation: Explanation, options: ExplainOptions, stem: str) -> Path:
    """Writes `<stem>_attribution.png`, `_attention.png` and `_explanation.json` to OUTPUT_DIR."""
    folder = Path(options.output_dir)
    bars, heatmap = folder / f"{stem}_attribution.png", folder / f"{stem}_attention.png"
    content = folder / f"{stem}_explanation.json"
    attribution_bars(explanation, bars)
    written = [bars]
    if explanation.attention is None:
        print("No heatmap: this encoder does not return its attention from token to token.")
    else:
        attention_heatmap(explanation, options.layer, heatmap)
        written.append(heatmap)
    with atomic_write(content) as file:
        json.dump(as_json(explanation), file, indent=2, ensure_ascii=False)
        file.write("\n")
    print("Written:", *written, content)
    return content


def as_json(explanation: Explanation) -> dict[str, object]:
    """What the JSON file holds; tokens, words and their attributions are parallel lists."""
    words = [word for word in explanation.words if word.is_read]
    return {
        "id": explanation.id,
        "relation": explanation.relation,
        "predicted": explanation.predicted,
        "gold": explanation.gold,
        "probs": dict(list(explanation.probs.items())[:SHOWN_RELATIONS]),
        "log_prob": explanation.log_prob,
        "baseline_log_prob": explanation.baseline_log_prob,
        "tokens": [token.text for token in explanation.tokens],
        "attributions": [token.attribution for token in explanation.tokens],
        "words": [word.text for word in words],
        "word_attributions": [word.attribution for word in words],
    }


def report_lines(explanation: Explanation, in_colour: bool) -> Iterator[str]:
    """What the terminal shows."""
    gold = "" if explanation.gold is None else f", gold label: {printable(explanation.gold)}"
    yield f"Example {printable(explanation.id)}, predicted: {explanation.predicted}{gold}"
    for name, prob in list(explanation.probs.items())[:SHOWN_RELATIONS]:
        yield f"  {prob:6.1%}  {name}"
    yield ""
    yield " ".join(_text_words(explanation.words, in_colour))
    yield ""
    yield (
        f"Log probability of {explanation.relation}: {explanation.log_prob:+.3f}, "
        f"with average words: {explanation.baseline_log_prob:+.3f}. The words that add most:"
    )
    read = [word for word in explanation.words if word.is_read]
    ranked = sorted(read, key=lambda word: -abs(word.attribution))[:SHOWN_WORDS]
    for word in ranked:
        role = f"  ({word.role})" if word.role else ""
        yield f"  {word.attribution:+.3f}  {printable(word.text)}{role}"
    if abs(explanation.gap) > LARGEST_GAP * max(
        (abs(word.attribution) for word in ranked), default=0.0
    ):
        yield f"Together they miss {explanation.gap:+.3f} of the difference: give more --steps."


def _text_words(words: Sequence[Part], in_colour: bool) -> Iterator[str]:
    """The words of the text, each run of truncated ones as one ellipsis."""
    strongest = max(abs(word.attribution) for word in words) or 1.0
    was_read = True
    for word in words:
        if word.is_read:
            text = printable(word.text)
            yield _coloured(text, word.attribution / strongest) if in_colour else text
        elif was_read:
            yield "…"
        was_read = word.is_read


def _coloured(text: str, strength: float) -> str:
    """`text` on a background for a strength from -1 to 1; near 0 it has none."""
    if abs(strength) < FAINTEST:
        return text
    shades = _FOR if strength > 0 else _AGAINST
    shade = shades[min(int(abs(strength) * len(shades)), len(shades) - 1)]
    return f"\x1b[30;48;5;{shade}m{text}{_RESET}"
