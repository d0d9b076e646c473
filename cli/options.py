"""Options that commands share. Options of a request are made from its fields, so that each is declared once."""

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

    The options are made when they are first needed, since the import of the request is slow. Options in `first` come
    before the others; fields in `without` get no option.
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
            index = next((i for i, p in enumerate(self._params) if p.name == "as_json"), len(self._params))
            self._params[index:index] = self._options()
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
    display: Any = field.json_schema_extra or {}
    flags = [*filter(None, [display.get("short")]), f"--{name.replace('_', '-')}", name]
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
        metavar=display.get("metavar"),
        help=field.description,
    )


def _click_type(field: "FieldInfo") -> "click.ParamType[Any]":
    """The click type of a field. click checks choices and the bounds of numbers; the request checks everything else."""
    types = [member for member in _members(field.annotation) if member is not NoneType]
    if get_origin(types[0]) is Literal and len(types) == 1:
        return click.Choice(get_args(types[0]))
    if types in ([int], [float]):
        bounds = {
            name: getattr(part, name) for part in field.metadata for name in ("ge", "gt", "le") if hasattr(part, name)
        }
        low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le")
        return click.IntRange(low, high) if types == [int] else click.FloatRange(low, high, min_open="gt" in bounds)
    return click.STRING


def _members(annotation: Any) -> tuple[Any, ...]:
    """The member types of a union, the item type of a tuple, or the type itself."""
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    if get_origin(annotation) is tuple:
        return get_args(annotation)[:1]
    return (annotation,)


def validated(model: Any, given: dict[str, Any]) -> Any:
    """A command's options as one request. Options without a value take their defaults."""
    from pydantic import ValidationError

    try:
        return model(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        message: str = problem["msg"]
        if problem["type"] == "value_error":  # our own message
            raise InputError(f"{option} {message.removeprefix('Value error, ')}") from error
        raise InputError(f"{option}: {message[0].lower()}{message[1:]}, found {problem['input']!r}") from error


def command_line() -> str:
    """The command as the user typed it, quoted for a shell."""
    return shlex.join(["recover-align", *sys.argv[1:]])
