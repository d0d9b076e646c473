"""The options that commands share. Those of a request come from its fields, so that each is declared once."""

import shlex
import sys
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from recover.errors import InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

json_flag = click.option("--json", "as_json", is_flag=True, help="Print result.json on stdout; everything else goes to stderr.")  # fmt: skip
quiet_flag = click.option("-q", "--quiet", is_flag=True, help="No progress bars.")


class RequestCommand(click.Command):
    """A command with an option for each field of a request of `recover.jobs.request`.

    The options are made when they are first needed, since the request takes a while to import. Options in `first` come
    before the others; fields in `without` have no option.
    """

    def __init__(
        self, *args: Any, request: str, first: Sequence[str] = (), without: Sequence[str] = (), **settings: Any
    ) -> None:
        self._request, self._first, self._without = request, first, without
        self._is_complete = False
        super().__init__(*args, **settings)

    @property
    def params(self) -> list[click.Parameter]:
        """The command's own parameters, with the request's before --json."""
        if not self._is_complete:
            self._is_complete = True
            place = next((i for i, p in enumerate(self._params) if p.name == "as_json"), len(self._params))
            self._params[place:place] = self._options()
        return self._params

    @params.setter
    def params(self, params: list[click.Parameter]) -> None:
        self._params = params

    def _options(self) -> list[click.Option]:
        from recover.jobs import request

        fields: dict[str, FieldInfo] = getattr(request, self._request).model_fields
        names = [*self._first, *(n for n in fields if n not in (*self._first, *self._without))]
        return [option_of(name, fields[name]) for name in names]


def option_of(name: str, field: "FieldInfo") -> click.Option:
    """The option for a field of a request."""
    shown: Any = field.json_schema_extra or {}
    flags = [*filter(None, [shown.get("short")]), f"--{name.replace('_', '-')}", name]
    if field.annotation is bool:
        return click.Option(flags, is_flag=True, help=field.description)
    default = field.default or None
    several = get_origin(field.annotation) in (tuple, dict)
    return click.Option(
        flags,
        type=_click_type(field),
        multiple=several,
        default=field.default if default is None or several else default,
        show_default=bool(default) or field.default == 0,
        metavar=shown.get("metavar"),
        help=field.description,
    )


def _click_type(field: "FieldInfo") -> "click.ParamType[Any]":
    """Numbers with their bounds and choices are checked as the command is read; all else is the request's to check."""
    kinds = [kind for kind in _members(field.annotation) if kind is not NoneType]
    if get_origin(kinds[0]) is Literal and len(kinds) == 1:
        return click.Choice(get_args(kinds[0]))
    if kinds in ([int], [float]):
        bounds = {
            name: getattr(part, name) for part in field.metadata for name in ("ge", "gt", "le") if hasattr(part, name)
        }
        low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le")
        return click.IntRange(low, high) if kinds == [int] else click.FloatRange(low, high, min_open="gt" in bounds)
    return click.STRING


def _members(annotation: Any) -> tuple[Any, ...]:
    """The types that a union or a tuple is made of, or the type itself."""
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    if get_origin(annotation) is tuple:
        return get_args(annotation)[:1]
    return (annotation,)


def validated(model: Any, given: dict[str, Any]) -> Any:
    """A command's options as one request. Options that were not given take their defaults."""
    from pydantic import ValidationError

    try:
        return model(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        message: str = problem["msg"]
        if problem["type"] == "value_error":  # a whole sentence of ours
            raise InputError(f"{option} {message.removeprefix('Value error, ')}") from error
        raise InputError(f"{option}: {message[0].lower()}{message[1:]}, found {problem['input']!r}") from error


def command_line() -> str:
    """The command as it was typed, for a shell."""
    return shlex.join(["recover-align", *sys.argv[1:]])
