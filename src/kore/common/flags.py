"""Every option once: a dataclass field is the flag, its default, its bounds and its help text.

A command has one class of options, composed of small ones by concern, and reads it with
`parse_options(TrainOptions)`. Only the standard library is imported here, so that `--help` answers
at once.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from kore.common.errors import UserError
from kore.common.parser import fields_of, make_parser, plain_arguments
from kore.common.recipes import recipe_flags, unknown_flag

MINI = "mini"  # the encoder made from scratch, see mini.py
KORE_MINI = "kore-mini"  # the pretrained encoder that ships, see shipped.py
AUTO = "auto"
RECIPE = "recipe"
BATCH_TOKENS = 4096  # of prediction; benchmarks/LOG.md has others


@dataclass(frozen=True)
class Interval:
    """The values a number may take, written as in mathematics: "[0, 1)", "(0, inf)"."""

    text: str

    def __contains__(self, value: float) -> bool:
        low, high = (float(bound) for bound in self.text[1:-1].split(","))
        above = value >= low if self.text[0] == "[" else value > low
        below = value <= high if self.text[-1] == "]" else value < high
        return above and below


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    within: str | None = None,
    positional: str = "",
    essential: bool = False,
    aliases: Sequence[str] = (),
) -> Any:
    """A dataclass field that is also a command-line flag.

    Args:
        choices: the texts allowed.
        within: the interval a number must lie in.
        positional: for what a command is about: one or more texts without a flag, shown under
            that name in --help.
        essential: shown first in --help, and not under the heading of its class.
        aliases: earlier names of the flag, which still work and are not shown.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "within": Interval(within) if within else None,
        "positional": positional,
        "essential": essential or bool(positional),
        "aliases": tuple(aliases),
    }
    return dataclasses.field(default=default, metadata=metadata)


class Checked:
    """Base of the option classes; `group` is the heading of a class's options in --help."""

    group: ClassVar[str] = ""
    REMOVED: ClassVar[Mapping[str, str]] = {}  # flags of earlier versions, and why they went

    def __init_subclass__(cls, group: str | None = None) -> None:
        super().__init_subclass__()
        if group is not None:  # else that of its first base
            cls.group = group

    def __post_init__(self) -> None:
        """Checks every bound.

        Raises:
            UserError: numbers out of range, all of them named.
        """
        faults = [
            f"`{field.name}` is {value}, expected a value in {interval.text}"
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if (interval := field.metadata["within"]) is not None
            and (value := getattr(self, field.name)) is not None
            and value not in interval  # "nan" lies in none
        ]
        if faults:
            raise UserError("; ".join(faults))


Options = TypeVar("Options", bound=Checked)


def parse_options(
    options_class: type[Options], arguments: Sequence[str] | None = None, description: str = ""
) -> Options:
    """Options from the command line (`sys.argv` where `arguments` is None).

    Raises:
        UserError: unknown flags, values of the wrong type or out of range, all named at once.
    """
    names, removed = fields_of(options_class), options_class.REMOVED
    arguments = plain_arguments(sys.argv[1:] if arguments is None else arguments, options_class)
    for name in sorted(given_flags(arguments) & removed.keys()):
        raise UserError(unknown_flag(name, names, removed))
    recipe = given_value(arguments, RECIPE) if RECIPE in names else None
    if recipe:
        arguments = [*recipe_flags(recipe, names, removed), *arguments]
    parser = make_parser(options_class, description)
    try:
        # Intermixed: what is positional may stand on both sides of a flag.
        return options_class(**vars(parser.parse_intermixed_args(arguments)))
    except UserError as error:
        if not recipe:
            raise
        raise UserError(f"{error} (flags of `recipe` {recipe} among them)") from error


def name_flags(message: str, options_class: type) -> str:
    """A message of the library as a command says it: "`max_length`" becomes "--max_length".

    Only the options of the command are flags of it.
    """
    names = fields_of(options_class)
    return re.sub(
        r"`(\w+)`", lambda match: f"--{match[1]}" if match[1] in names else match[0], message
    )


def given_flags(arguments: Sequence[str]) -> set[str]:
    """Names of the flags that stand in `arguments`: {"max_length"} for ["--max_length", "64"]."""
    return {text[2:].split("=")[0] for text in arguments if text.startswith("--")}


def given_value(arguments: Sequence[str], name: str) -> str | None:
    """The last value that `--name VALUE` or `--name=VALUE` has in `arguments`; None = not there."""
    found = None
    for number, text in enumerate(arguments):
        if text == f"--{name}":
            found = "".join(arguments[number + 1 : number + 2])
        elif text.startswith(f"--{name}="):
            found = text.partition("=")[2]
    return found


@dataclass
class PrecisionOptions(Checked, group="Device and precision"):
    precision: str = option(
        AUTO,
        "arithmetic; auto = bf16 where the CPU or GPU computes it natively, else fp32",
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    compile: bool = option(
        False,
        "fuse the encoder's layers by torch.compile, which takes about a minute; meant for a GPU",
    )


@dataclass
class DeviceOptions(PrecisionOptions):
    use_cuda: str = option(
        AUTO, "run on a CUDA GPU; auto = where there is one", choices=("True", "False", AUTO)
    )
