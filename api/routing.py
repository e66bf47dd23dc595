"""The routes of our endpoints: FastAPI documents them by their signature, a request takes the short way.

FastAPI's own way from a request to the arguments costs 50 to 110 us of processor time, more than all the rest of a
read, and what it finds out of a signature for it 4 ms a route, at every start: it is asked for the document only. So
every parameter of our endpoints is one of three things, each read directly: a path parameter (``str``), a
class that reads itself from the request (``Annotated[Reading, Depends(...)]``, where the dependency is a function whose
signature FastAPI documents), or one body model (``api.bodies.Body``).
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Protocol, Self, cast

import starlette.routing
from fastapi import APIRouter, Path
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.bodies import Body, read_body
from api.problems import Misfit, RequestProblem, unfit

PortfolioId = Annotated[str, Path(description="Id of the portfolio.")]
"""The path parameter that names a portfolio."""


class ReadsItself(Protocol):
    """A parameter class."""

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the parameter; raises ``RequestProblem``."""


class Route(starlette.routing.Route):
    """A route with the short way; made by a ``Router``, whose ``routes`` are added to the application."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        methods = {method.upper() for method in options["methods"] or ["GET"]}
        if "GET" in methods:
            methods.add("HEAD")  # answered as GET is, the server leaves the body out; the document need not say it
        self.operation_id = options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().__init__(path, endpoint, include_in_schema=options["include_in_schema"])
        self.methods = methods
        self.app = _short_way(endpoint)
        self._literal = path.partition("{")[0]
        self._options = options

    def documented(self) -> APIRoute:
        """Return what FastAPI makes the OpenAPI document from."""
        return APIRoute(self.path, self.endpoint, **self._options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as FastAPI does, without converters and mounts, which these routes do not have."""
        path = scope["path"]
        if scope["type"] != "http" or not path.startswith(self._literal):
            return Match.NONE, {}
        found = self.path_regex.match(path)
        if found is None:
            return Match.NONE, {}
        match = Match.FULL if scope["method"] in (self.methods or ()) else Match.PARTIAL
        return match, {"endpoint": self.endpoint, "path_params": found.groupdict(), "route": self}


class Router(APIRouter):
    """Makes a ``Route`` of each endpoint, under these tags."""

    def __init__(self, *tags: str) -> None:
        # FastAPI's router makes them and puts them into its list, no more.
        super().__init__(route_class=cast(type[APIRoute], Route), tags=list(tags))


def _short_way(endpoint: Callable[..., Any]) -> ASGIApp:
    paths, readers, body = _parameters(endpoint)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        path_params = scope["path_params"]
        values: dict[str, Any] = {name: path_params[name] for name in paths}
        faults: list[Misfit] = []
        for name, read in readers:
            try:
                values[name] = read(request)
            except RequestProblem as error:
                faults.extend(_faults(error))
        if body is not None:
            name, model = body
            try:
                values[name] = await read_body(request, model)
            except RequestProblem as error:
                faults.extend(_faults(error))
        if faults:
            raise RequestProblem(unfit(*faults))
        response = await endpoint(**values)
        await response(scope, receive, send)

    return app


def _faults(error: RequestProblem) -> tuple[Misfit, ...]:
    """Return the faults of a 422, so that all of a request are told at once; any other problem is told alone."""
    if error.problem.code != "invalid-request":
        raise error
    return error.problem.errors


def _parameters(
    endpoint: Callable[..., Any],
) -> tuple[tuple[str, ...], tuple[tuple[str, Callable[[Request], Any]], ...], tuple[str, type[Body]] | None]:
    """Sort the parameters of the endpoint into path, readers and body; raises ``TypeError`` for any other."""
    hints = typing.get_type_hints(endpoint, include_extras=True)
    paths: list[str] = []
    readers: list[tuple[str, Callable[[Request], Any]]] = []
    body: tuple[str, type[Body]] | None = None
    for name in inspect.signature(endpoint).parameters:
        hint = hints[name]
        extras = getattr(hint, "__metadata__", ())
        plain = typing.get_args(hint)[0] if extras else hint
        if any(isinstance(extra, Depends) for extra in extras):
            readers.append((name, plain.of))
        elif plain is str:
            paths.append(name)
        elif isinstance(plain, type) and issubclass(plain, Body) and body is None:
            body = (name, plain)
        else:
            raise TypeError(f"{endpoint.__qualname__}: parameter {name} is not one that the short way can read")
    return tuple(paths), tuple(readers), body
