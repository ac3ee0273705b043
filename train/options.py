"""Options of recipes, composed of groups.

@dataclass(frozen=True)
class Data(Group):
    workers: int = 2

@dataclass(frozen=True)
class Recipe:
    seed: int = 0
    data: Flat[Data] = Data()      # the command line says --workers, a record says "workers"
"""

import dataclasses
from typing import Any, TypeVar

import tyro

T = TypeVar("T")

Flat = tyro.conf.OmitArgPrefixes[T]
"""Of a field that holds a `Group`: the command line names the group's fields without the group."""


class Group:
    """Options that several recipes share. Their names differ from those of all other groups and recipes."""


def flat(options: Any) -> dict[str, Any]:
    """Name -> value of a recipe's options, those of its groups among them."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        values |= flat(value) if isinstance(value, Group) else {field.name: value}
    return values


def changed(options: T, **values: Any) -> T:
    """The options with other values, in whichever group they are.

    Raises:
        TypeError: no option has that name.
        ValueError: a value makes no sense.
    """
    own: dict[str, Any] = {}
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        held = getattr(options, field.name)
        if isinstance(held, Group):
            inside = {name: values.pop(name) for name in flat(held) if name in values}
            if inside:
                own[field.name] = changed(values.pop(field.name, held), **inside)
    return dataclasses.replace(options, **own, **values)  # type: ignore[type-var]
