"""Responses in the format that the client wants: JSON, CSV, Parquet, or another that a route offers.

A route takes :data:`OutputDep` (or ``Depends(offering(...))``) and returns ``output.respond(...)``. The format is
chosen before the route runs, so that a request for one it doesn't have costs no query.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from coinwatch.errors import InvalidRequest
from coinwatch.web.error_handlers import NotAcceptable
from coinwatch.web.formats.accept_header import quality
from coinwatch.web.formats.tables import Table
from coinwatch.web.schemas.errors import NOT_ACCEPTABLE, Responses


@dataclass(frozen=True, slots=True)
class Format:
    """A format of responses: its ``name`` in ``?format=``, also the file extension, and how it writes a table.

    JSON, whose ``write`` is None, writes the whole document instead.
    """

    name: str
    media_type: str
    write: Callable[[Table], bytes] | None = None
    parameters: str = ""

    @property
    def content_type(self) -> str:
        """The media type with its parameters, as in Content-Type."""
        return self.media_type + self.parameters


JSON = Format("json", "application/json")
CSV = Format("csv", "text/csv", Table.to_csv, "; charset=utf-8; header=present")
PARQUET = Format("parquet", "application/vnd.apache.parquet", Table.to_parquet)


@dataclass(frozen=True, slots=True)
class Output:
    """The format chosen for a response."""

    format: Format

    def respond(
        self,
        document: object,
        table: Callable[[], Table],
        *,
        filename: str,
        headers: Mapping[str, str] | None = None,
        volatile: Any = None,
    ) -> Response:
        """Write ``document`` as JSON, or else ``table``, as a file for download with this name (without extension).

        ``document`` may consist of models, dataclasses, times and so on; a callable returns it when it is needed.
        ``volatile`` are its fields (as pydantic's
        ``exclude``) that change without new data, such as an age: the ETag, by default a hash of the body, ignores
        them.
        """
        vary = {"Vary": "Accept", **(headers or {})}
        if volatile is not None:
            version = blake2b(to_json(_resolved(document), exclude=volatile), digest_size=12)
            version.update(self.format.name.encode())
            vary["ETag"] = f'W/"{version.hexdigest()}"'
        if self.format.write is None:
            return Response(to_json(_resolved(document), inf_nan_mode="null"), media_type=JSON.media_type, headers=vary)
        attachment = {"Content-Disposition": f'attachment; filename="{_file_name(filename)}.{self.format.name}"'}
        body = self.format.write(table())
        return Response(body, headers=vary | attachment | {"Content-Type": self.format.content_type})


def _resolved(document: object) -> object:
    return document() if callable(document) else document


def offering(*formats: Format) -> Callable[..., Awaitable[Output]]:
    """A dependency that chooses one of the formats for a request, the first one if the client accepts any.

    ``?format=`` has precedence over the Accept header. Raises InvalidRequest and NotAcceptable.
    """
    names = [each.name for each in formats]
    described = Query(
        description="Format of the response. Default: by the Accept header, else json.",
        json_schema_extra={"enum": names},
        max_length=20,
    )

    async def choose(request: Request, format: Annotated[str | None, described] = None) -> Output:  # noqa: A002  its name
        if format is None:
            return Output(choose_format(request.headers.get("accept"), formats))
        found = next((each for each in formats if each.name == format.lower()), None)
        if found is None:
            raise InvalidRequest("format", f"format is {format}; it must be one of {', '.join(names)}.")
        return Output(found)

    return choose


def choose_format(accept: str | None, formats: tuple[Format, ...]) -> Format:
    """The format that an Accept header (RFC 9110, 12.5.1) prefers; of equally good ones the first.

    Raises NotAcceptable if it accepts none of them.
    """
    if not accept:
        return formats[0]
    qualities = [quality(each.media_type, accept) for each in formats]
    best = max(qualities)
    if best == 0:
        offered = ", ".join(each.media_type for each in formats)
        raise NotAcceptable(f"The Accept header allows none of the formats of this resource: {offered}.")
    return formats[qualities.index(best)]


def table_responses(*formats: Format, example: Mapping[str, Any] | None = None) -> Responses:
    """The formats besides JSON, and the error for any other one, for a route's ``responses``."""
    content: dict[str, Any] = {
        each.media_type: {"schema": {"type": "string"} | ({"format": "binary"} if each is PARQUET else {})}
        for each in formats
        if each.write is not None
    }
    if example is not None:
        content[JSON.media_type] = {"example": example}
    return {200: {"content": content}, **NOT_ACCEPTABLE}


def _file_name(text: str) -> str:
    """A file name that needs no quoting in a header."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text).lower()


FORMATS = (JSON, CSV, PARQUET)
OutputDep = Annotated[Output, Depends(offering(*FORMATS))]
AS_TABLE: Responses = table_responses(*FORMATS)
