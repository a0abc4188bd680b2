"""Parts of a config: what they have in common, and what is wrong with them, in words."""

import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from .errors import InputError, brief, nearest, shortened, without_passwords

_MOST_PROBLEMS = 5  # in one message


class _NumbersAreNumbers(BaseModel):
    """Refuses `true` and `false` where numbers are meant: Python reads them as 1 and 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        given = value if isinstance(value, list) else [value]
        if field is not None and any(isinstance(v, bool) for v in given):
            meant = _types_in(field.annotation)
            if bool not in meant and meant & {int, float}:
                truth = next(v for v in given if isinstance(v, bool))
                raise ValueError(f"must be a number, not {truth}")
        return value


class Section(_NumbersAreNumbers):
    """A part of the config in which unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OpenSection(_NumbersAreNumbers):
    """A part whose further keys belong to what it names, and are checked by that."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The further keys with their values."""
        return dict(self.model_extra or {})


Model = TypeVar("Model", bound=BaseModel)


def validated(
    model: type[Model], content: Mapping[str, Any], *, key: str = "", file: str = ""
) -> Model:
    """The section that this content describes; `key` and `file` say where it is from.

    Raises:
        InputError: anything in it is wrong; a line for each, with key and remedy.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        problems = [_readable(model, e) for e in wrong[:_MOST_PROBLEMS]]
        distinct = [p.inside(key=key, file=file) for p in {p.key: p for p in problems}.values()]
        first, *others = distinct
        more = "".join(f"\n{problem}" for problem in others)
        if len(wrong) > _MOST_PROBLEMS:
            more += f"\n... and {len(wrong) - _MOST_PROBLEMS:,} more."
        raise InputError(first.problem + more, key=first.key, file=file) from None


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field of this type holds, if it holds one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next((m for a in get_args(annotation) if (m := model_in(a))), None)
    return None


def _types_in(annotation: Any) -> set[Any]:
    """The types that stand in a field's type: int and NoneType of `list[int] | None`."""
    if get_origin(annotation) in (Union, types.UnionType, list):
        return set().union(*(_types_in(a) for a in get_args(annotation)))
    return {annotation}


def _readable(model: type[BaseModel], error: Any) -> InputError:
    """One of pydantic's errors as a sentence with its dotted key."""
    location = error["loc"]
    if location and location[-1] in ("int", "float"):  # what pydantic calls a number of any kind
        return _readable(model, {**error, "loc": location[:-1], "type": "float_type"})
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    key = shortened(key)
    kind, message = error["type"], error["msg"]
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = nearest(str(location[-1]), known)
        hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(known)}."
        return InputError(f"unknown key '{shortened(str(location[-1]))}'. {hint}", key=key)
    if kind in ("model_type", "dict_type"):
        return InputError(f"must be a mapping of keys, not {brief(error['input'])}.", key=key)
    if kind == "too_short":
        return InputError("is empty: give at least one.", key=key)
    if kind == "string_type" and location and location[0] == "constraints":
        return InputError(
            f"cannot read {brief(error['input'])}. Write it with its operator, as '<= 5'.", key=key
        )
    if kind == "missing":
        return InputError("is missing.", key=key)
    if kind == "value_error":
        said = shortened(str(error["ctx"]["error"]), 400)
        return InputError(f"{without_passwords(said)}.", key=key)
    if kind == "string_pattern_mismatch":
        return InputError(
            f"'{shortened(error['input'])}' may have letters, digits, '.', '_' and '-' only, "
            "and begins with a letter or digit.",
            key=key,
        )
    if (wanted := next((w for k, w in _WANTED.items() if k in kind), None)) is None:
        wanted = message[0].lower() + message[1:]
        for theirs, ours in _PHRASES.items():
            wanted = wanted.replace(theirs, ours)
    return InputError(f"{wanted}, not {brief(error['input'])}.", key=key)


_WANTED = {  # by pydantic's kind of error, or a part of it
    "finite_number": "must be a finite number",
    "int_": "must be a whole number",
    "float_": "must be a number",
    "bool_": "must be true or false",
    "string_type": "must be a string",
    "list_type": "must be a list",
}
_PHRASES = {
    "input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "less than": "below",
    "greater than": "above",
}


def _known_keys(section: Any, location: Sequence[int | str]) -> list[str]:
    """The keys of the section at that place."""
    for part in location:
        model = model_in(section)
        if model is not None and part in model.model_fields:
            section = model.model_fields[str(part)].annotation
        elif get_origin(section) is dict:
            section = get_args(section)[1]
    model = model_in(section)
    return sorted(model.model_fields) if model is not None else []
