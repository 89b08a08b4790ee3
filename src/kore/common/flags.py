"""Every option once: a dataclass field is the flag, its default, its bounds and its help text.

A command takes one of the classes at the end of this file, for example
`options = parse_options(TrainOptions)`. Only the standard library is imported here, so that
`--help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from kore.common.errors import UserError
from kore.common.recipes import recipe_flags, unknown_flag

MINI = "mini"  # the encoder made from scratch, see mini.py
AUTO = "auto"
RECIPE = "recipe"
BATCH_TOKENS = 4096  # of prediction; benchmarks/LOG.md has others

Options = TypeVar("Options")


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
) -> Any:
    """A dataclass field that is also a command-line flag.

    `choices` are the texts allowed, `within` the interval a number must lie in. `positional` is
    for what a command is about: one or more texts without a flag, shown under that name in --help.
    """
    interval = Interval(within) if within else None
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "within": interval,
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata)


class _Parser(argparse.ArgumentParser):
    """argparse that fails with our one sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists every flag)")


def parse_options(
    options_class: type[Options], arguments: Sequence[str] | None = None, description: str = ""
) -> Options:
    """Options from the command line (`sys.argv` where `arguments` is None).

    Raises:
        UserError: unknown flags, values of the wrong type or out of range, all named at once.
    """
    parser = _Parser(description=description, allow_abbrev=False)
    hints = typing.get_type_hints(options_class)
    fields = dataclasses.fields(options_class)  # type: ignore[arg-type]
    for field in sorted(fields, key=lambda field: field.name not in vars(options_class)):
        _add_flag(parser, field, hints[field.name])
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    names = {field.name for field in fields}
    removed = getattr(options_class, "REMOVED", {})
    for name in sorted(given_flags(arguments) & removed.keys()):
        raise UserError(unknown_flag(name, names, removed))
    recipe = given_value(arguments, RECIPE) if RECIPE in names else None
    if recipe:
        arguments = [*recipe_flags(recipe, names, removed), *arguments]
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
    names = {field.name for field in dataclasses.fields(options_class)}
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


def _add_flag(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], hint: Any) -> None:
    default = field.default
    help_text = field.metadata["help"].replace("%", "%%")
    if field.metadata["positional"]:
        name = field.metadata["positional"]
        parser.add_argument(field.name, nargs="+", metavar=name, help=help_text)
        return
    if default not in (None, "", ()):
        help_text += f" [{default}]"
    if typing.get_origin(hint) is Sequence:
        parser.add_argument(
            f"--{field.name}", nargs="+", default=default, metavar="NAME", help=help_text
        )
        return
    kind = _value_type(hint)
    if kind is bool:  # both `--focal_loss` and `--focal_loss True`
        parser.add_argument(
            f"--{field.name}",
            type=_parse_bool,
            nargs="?",
            const=True,
            default=default,
            metavar="True|False",
            help=help_text,
        )
        return
    choices = field.metadata["choices"]
    parser.add_argument(
        f"--{field.name}",
        type=_in_any_case(choices) if choices else kind,
        default=default,
        choices=choices or None,
        metavar="|".join(choices) or kind.__name__.upper(),
        help=help_text,
    )


def _value_type(hint: Any) -> type:
    """The type a flag's text is turned into: int for `int | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.cast(type, hint)


def _in_any_case(choices: Sequence[str]) -> Callable[[str], str]:
    """`true` is read as the choice `True`."""
    spelled = {choice.lower(): choice for choice in choices}
    return lambda text: spelled.get(text.lower(), text)


def _parse_bool(text: str) -> bool:
    known = {"true": True, "false": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not True or False")
    return known[text.lower()]


class _Checked:
    """Base of the option classes: every bound is checked once, all faults are told together."""

    def __post_init__(self) -> None:
        faults = [
            f"`{field.name}` is {value}, expected a value in {interval.text}"
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if (interval := field.metadata["within"]) is not None
            and (value := getattr(self, field.name)) is not None
            and value not in interval  # "nan" lies in none
        ]
        if faults:
            raise UserError("; ".join(faults))


@dataclass
class PrecisionOptions(_Checked):
    precision: str = option(
        AUTO,
        "arithmetic; auto = bf16 where the processor or GPU computes it natively",
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    compile: bool = option(
        False, "let torch.compile fuse the encoder's layers, after a minute or so; meant for a GPU"
    )


@dataclass
class DeviceOptions(PrecisionOptions):
    use_cuda: str = option(
        AUTO, "run on a CUDA GPU; auto = where there is one", choices=("True", "False", AUTO)
    )
