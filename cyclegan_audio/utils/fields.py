"""Check values from files against annotations: types, ranges, choices and lengths, declared at each field."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclegan_audio.utils.errors import UserError, check_number, shortened

MAX_VALUES, MAX_DEPTH = 2_000_000, 40  # of nested plain values
T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """The valid numbers of a field, in `Annotated[int, Range(1, 9)]`."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Length:
    """The valid lengths of a text or a list, in `Annotated[str, Length(1, 100)]`."""

    low: int = 0
    high: int = 1 << 20


def check_fields(instance: Any, name: str = "") -> None:
    """Check every field of a dataclass against its annotation.

    Args:
        instance: the dataclass. Annotations may be `int`, `float`, `bool`, `str`, `dict[str, T]`, `list[T]`,
            `Literal`, `T | None` and `Any`; numbers may have a `Range`, texts and lists a `Length`.
        name: the name of the structure, such as `mel`, for messages.

    Raises:
        UserError: a field is invalid; the message names it.
    """
    for field, annotation in _annotations(type(instance)).items():  # type: ignore[arg-type]
        check_value(f"{name}.{field}".lstrip("."), getattr(instance, field), annotation)


def from_mapping(cls: type[T], values: object, name: str = "") -> T:
    """Build a dataclass from plain values; other keys are ignored.

    Raises:
        UserError: the values are no mapping, or lack a field.
    """
    check_value(name or "the metadata", values, dict[str, Any])
    assert isinstance(values, Mapping)
    arguments = {}
    for field in fields(cls):  # type: ignore[arg-type]
        if field.name in values:
            arguments[field.name] = values[field.name]
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{name}.{field.name}".lstrip(".") + " is missing")
    return cls(**arguments)


@cache
def _annotations(cls: Hashable) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def check_value(name: str, value: object, annotation: Any) -> None:
    """Check one value against an annotation of `check_fields`.

    Raises:
        UserError: it is invalid.
    """
    limits: Any = None
    if get_origin(annotation) is Annotated:
        annotation, limits = get_args(annotation)
    kind, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if kind in (Union, UnionType):
        if value is not None or NoneType not in arguments:
            check_value(name, value, Annotated[arguments[0], limits] if limits else arguments[0])
    elif kind in (int, float):
        limits = limits or Range()
        check_number(name, value, limits.low, limits.high, integer=kind is int)
    elif kind is Literal:
        if not (isinstance(value, str) and value in arguments):
            raise UserError(f"{name} must be {' or '.join(arguments)}, got {shortened(value)}")
    elif kind is not Any:
        _check_container(name, value, kind, arguments, limits or Length())


def _check_container(name: str, value: object, kind: type, arguments: Any, limits: Length) -> None:
    """Check a text, a list or a mapping, and the values in it."""
    words = {str: "a text", bool: "true or false", list: "a list", dict: "a mapping with texts as keys"}
    if not isinstance(value, kind) or (kind is dict and not all(isinstance(key, str) for key in value)):  # type: ignore[attr-defined]
        raise UserError(f"{name} must be {words[kind]}, got {shortened(value)}")
    if kind is not bool and not limits.low <= len(value) <= limits.high:  # type: ignore[arg-type]
        raise UserError(f"{name} must have {limits.low} to {limits.high} items, got {shortened(value)}")
    if arguments and isinstance(value, list | dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            check_value(f"{name}.{shortened(key).strip(chr(39))}", item, arguments[-1])


def check_plain(name: str, value: object) -> None:
    """Check that nested values are plain (None, bool, numbers, texts, lists, mappings) and not too many.

    A value that contains itself, or the same list a million times, is refused too.

    Raises:
        UserError: they are not.
    """
    level, n_values = [value], 0
    for _ in range(MAX_DEPTH):
        n_values += len(level)
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, list | tuple):
                inner += item
            elif not isinstance(item, NoneType | bool | int | float | str):
                raise UserError(f"{name} holds {type(item).__name__}, which is not a plain value")
            if n_values + len(inner) > MAX_VALUES:
                raise UserError(f"{name} holds more than {MAX_VALUES} values")
        if not inner:
            return
        level = inner
    raise UserError(f"{name} is nested more than {MAX_DEPTH} levels deep")
