"""The argparse parser of a class of options: headings, types, earlier names of flags."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NoReturn

from kore.common.errors import UserError

ESSENTIALS = "Essentials"
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}

Fields = Mapping[str, dataclasses.Field[Any]]


class _Parser(argparse.ArgumentParser):
    """argparse that fails with our one sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists every flag)")


def fields_of(options_class: type) -> Fields:
    """The options of a class by name."""
    return {field.name: field for field in dataclasses.fields(options_class)}


def plain_arguments(arguments: Sequence[str], options_class: type) -> list[str]:
    """The arguments with the names that flags have now, and as argparse reads them without doubt.

    Before a positional, argparse would take x.csv of `--resume x.csv` for the value of --resume.
    """
    fields, hints = fields_of(options_class), typing.get_type_hints(options_class)
    current = {
        f"--{alias}": f"--{name}"
        for name, field in fields.items()
        for alias in field.metadata["aliases"]
    }
    split = [text.partition("=") for text in arguments]
    named = ["".join((current.get(flag, flag), *value)) for flag, *value in split]
    if not any(field.metadata["positional"] for field in fields.values()):
        return named  # a wrong value of a boolean is then refused as such
    booleans = {f"--{name}" for name in fields if _value_type(hints[name]) is bool}
    return [
        f"{text}=True" if text in booleans and following.lower() not in _BOOLEANS else text
        for text, following in zip_longest(named, named[1:], fillvalue="")
    ]


def make_parser(options_class: type, description: str) -> argparse.ArgumentParser:
    """A parser whose --help has a heading for each group of options."""
    fields, hints = fields_of(options_class), typing.get_type_hints(options_class)
    positional = [field.metadata["positional"] for field in fields.values()]
    usage = " ".join(["%(prog)s [flags]", *(f"{name} ..." for name in positional if name)])
    parser = _Parser(usage=usage, description=description, allow_abbrev=False, add_help=False)
    for heading, names in _headings(options_class, fields).items():
        group = parser.add_argument_group(heading)
        for name in sorted(names, key=lambda name: not fields[name].metadata["positional"]):
            _add_flag(group, fields[name], hints[name])
    help_group = parser.add_argument_group("Help")
    help_group.add_argument("-h", "--help", action="help", help="show this text and exit")
    return parser


def _headings(options_class: type, fields: Fields) -> dict[str, list[str]]:
    """Names of the options by heading: the essential ones first, then class by class.

    The class that declared an option first gives the heading; others only change its default.
    """
    classes = [cls for cls in options_class.__mro__ if hasattr(cls, "group")]
    groups = {name: cls.group for cls in classes for name in vars(cls).get("__annotations__", {})}
    headings: dict[str, list[str]] = {ESSENTIALS: []}
    for name in filter(fields.__contains__, groups):
        heading = ESSENTIALS if fields[name].metadata["essential"] else groups[name]
        headings.setdefault(heading, []).append(name)
    return headings


def _add_flag(parser: argparse._ActionsContainer, field: dataclasses.Field[Any], hint: Any) -> None:
    help_text = field.metadata["help"].replace("%", "%%")
    if field.metadata["positional"]:
        parser.add_argument(
            field.name, nargs="+", metavar=field.metadata["positional"], help=help_text
        )
        return
    if field.default not in (None, "", ()):
        help_text += f" [{field.default}]"
    parser.add_argument(
        f"--{field.name}",
        default=field.default,
        help=help_text,
        **_value_settings(hint, field.metadata["choices"]),
    )


def _value_settings(hint: Any, choices: Sequence[str]) -> dict[str, Any]:
    """What argparse is given to read the value of a flag."""
    if typing.get_origin(hint) is Sequence:
        return {"nargs": "+", "metavar": "NAME"}
    kind = _value_type(hint)
    if kind is bool:  # both `--focal_loss` and `--focal_loss True`
        return {"type": _parse_bool, "nargs": "?", "const": True, "metavar": "True|False"}
    if choices:
        return {"type": _in_any_case(choices), "choices": choices, "metavar": "|".join(choices)}
    return {"type": kind, "metavar": kind.__name__.upper()}


def _value_type(hint: Any) -> type:
    """The type that a flag's text is converted to: int for `int | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.cast(type, hint)


def _in_any_case(choices: Sequence[str]) -> Callable[[str], str]:
    """`true` is read as the choice `True`."""
    spelled = {choice.lower(): choice for choice in choices}
    return lambda text: spelled.get(text.lower(), text)


def _parse_bool(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise argparse.ArgumentTypeError(f"{text!r} is not True or False")
    return _BOOLEANS[text.lower()]
