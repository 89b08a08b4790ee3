"""The model card of an exported folder: what the model is, its scores, how to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kore.network.trained import TrainedModel, hub_name
from kore.scoring.metrics import ALL_TITLES


def model_card(name: str, trained: TrainedModel) -> str:
    """README.md of the folder `name`, with the front matter that the hub reads."""
    scheme, labels = trained.input_encoder.scheme, trained.labels
    base = base_model(trained.options)
    front = [
        *("---", "language: ko", "library_name: transformers"),
        *([f"base_model: {base}"] if base else []),
        *("pipeline_tag: text-classification", "tags:", "- relation-extraction", "- korean"),
        *("- kore", "---"),
    ]
    relations = ", ".join(f"`{label}`" for label in labels.names)
    markers = "none"
    if scheme.use_markers:
        markers = f"`{scheme.style}`, {'with' if scheme.use_types else 'without'} entity types"
    return "\n".join(
        [
            *front,
            "",
            f"# {name}",
            "",
            "Korean relation extraction: given a sentence and two marked entities, subject and",
            f"object, which of {len(labels)} relations holds. Made with KoRE.",
            "",
            f"- relations: {relations}",
            f"- none of them: {f'`{labels.no_relation}`' if labels.no_relation else 'no such'}",
            f"- entity markers: {markers}",
            f"- entity representation: {trained.model.pooling_name}",
            f"- longest example: {trained.input_encoder.max_length} tokens",
            f"- probabilities expect the class shares {_shares(trained.options)}",
            "",
            "## Scores",
            "",
            *_score_lines(trained.scores),
            "",
            "## Use",
            "",
            "Relations, with KoRE (markers, window and head are applied as in training):",
            "",
            "```bash",
            f"python src/inference.py --model_file {name} --test_file data/test_data.csv",
            "```",
            "",
            "The encoder alone, with transformers:",
            "",
            "```python",
            "from transformers import AutoModel, AutoTokenizer",
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
            f'encoder = AutoModel.from_pretrained("{name}")',
            "```",
            "",
            "The weights over the encoder are in `head.safetensors`, everything else that",
            "prediction needs in `kore.json`. Where `AutoModel` builds a pooler, its weights here",
            "are zeros: KoRE's models have none.",
            "",
        ]
    )


def base_model(options: dict[str, Any]) -> str | None:
    """The hub name of the encoder that was fine-tuned; None for `mini` or a folder."""
    return hub_name(str(options.get("model_name_or_path", "")))


def _shares(options: dict[str, Any]) -> str:
    name = Path(options.get("target_prior") or "").name
    return f"of {name}; so do the scores" if name else "of the training examples"


def _score_lines(scores: dict[str, Any]) -> list[str]:
    """A table of the scores on the validation examples, times 100."""
    known = [(title, scores[key]) for key, title in ALL_TITLES.items() if key in scores]
    if not known:
        return ["Not measured."]
    rows = [f"| {title} | {value:.2f} |" for title, value in known]
    return ["On the validation examples of the training run, times 100.", "", "| score | |",
            "|---|---|", *rows]  # fmt: skip
