"""The flags a search chooses, from a JSON file.

    {"gamma": [0, 1, 2], "learning_rate": {"low": 1e-5, "high": 1e-4, "log": true}}

A list names the values; low and high bound a number, with "log" by its order of magnitude.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kore.common.errors import UserError
from kore.common.files import read_json
from kore.common.flags import parse_options
from kore.common.recipes import as_arguments, unknown_flag
from kore.training.options import TrainOptions

if TYPE_CHECKING:
    import optuna

_FIXED = {
    *("recipe", "resume", "run_name", "model_dir", "output_dir", "num_folds"),
    *("target_prior", "target_prior_scope"),
}

Value = str | int | float


class Choice(NamedTuple):
    """One of these values."""

    values: tuple[Value, ...]


class Range(NamedTuple):
    """A number from `low` to `high`, both included; whole where both are."""

    low: int | float
    high: int | float
    is_log: bool


Space = dict[str, Choice | Range]


def read_space(path: Path) -> Space:
    """The flags to choose.

    Raises:
        UserError: the file is missing or damaged, or names what is no flag or no value of it.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise UserError(f'{path}: expected flags and their values, as {{"gamma": [1, 2]}}')
    known = {field.name for field in fields(TrainOptions)} - _FIXED
    for name in content:
        if name not in known:
            raise UserError(f"{path}: {unknown_flag(name, known, TrainOptions.REMOVED)}")
    return {name: _domain(path, name, given) for name, given in content.items()}


def grid_of(space: Space, source: str) -> dict[str, list[Value]]:
    """The values of every flag, for a search that tries all combinations.

    Args:
        source: of the space, for messages.

    Raises:
        UserError: the space has a range, whose values have no end.
    """
    values: dict[str, list[Value]] = {}
    for name, domain in space.items():
        if isinstance(domain, Range):
            raise UserError(
                f"{source}: {name} is a range, but a grid needs a list of values; pass `sampler` "
                "tpe, or name the values"
            )
        values[name] = list(domain.values)
    return values


def suggest(trial: optuna.Trial, name: str, domain: Choice | Range) -> Any:
    """A value of the domain, as the study's sampler chooses it."""
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.values)
    if type(domain.low) is int and type(domain.high) is int:
        return trial.suggest_int(name, domain.low, domain.high, log=domain.is_log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.is_log)


def _parsed(path: Path, name: str, value: Value) -> Value:
    """The value as the flag would have it: 0.0 for 0, True for "True"."""
    try:
        return getattr(parse_options(TrainOptions, as_arguments({name: value})), name)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _domain(path: Path, name: str, given: Any) -> Choice | Range:
    if isinstance(given, list) and given and all(isinstance(v, Value) for v in given):
        return Choice(tuple(_parsed(path, name, value) for value in given))
    if isinstance(given, dict) and {"low", "high"} <= set(given) <= {"low", "high", "log"}:
        low, high, is_log = given["low"], given["high"], given.get("log", False)
        numbers = all(type(bound) in (int, float) for bound in (low, high))
        if numbers and type(is_log) is bool and low < high and (low > 0 or not is_log):
            for bound in (low, high):
                _parsed(path, name, bound)
            return Range(low, high, is_log)
    raise UserError(
        f'{path}: {name}: expected a list of values, or {{"low": 1e-5, "high": 1e-4}} and perhaps '
        '"log": true'
    )
