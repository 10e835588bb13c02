"""Serve the busiest operations directly: from the socket to the use case, without the framework's detours."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, cast

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api import problems
from api.strict import StrictRoute, is_json, parse_json

Dependency = Callable[[Request], Awaitable[object]]


class DirectRoute(StrictRoute):
    """A route that FastAPI documents like any other, and that `Direct` serves.

    Its address has no parts that vary. Its endpoint takes one JSON body, headers that are text or absent, and what
    depends on the request alone; it returns a Response.
    """


class Direct:
    """Plain ASGI, around the application: what is not a direct route goes on to it.

    FastAPI takes three times as long as the rest of accepting a transfer to find a route, to resolve what it depends on
    and to leave its exit stacks. Source: docs/decisions/0021.
    """

    def __init__(self, app: FastAPI, *, routers: Iterable[APIRouter]) -> None:
        """Wrap an application.

        Args:
            routers: Where the direct routes are declared, among others. The application includes them as well.
        """
        self._app = app
        routes = [route for router in routers for route in router.routes if isinstance(route, DirectRoute)]
        self._operations: Final = {
            (method, route.path): _Operation(route) for route in routes for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or pass it on."""
        operation = self._operations.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if operation is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await operation.answer(request)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 (every failure has its answer; nobody further out gives one)
            response = await problems.answer(request, error)
        await response(scope, receive, send)


class _Operation:
    """What FastAPI has read from an endpoint's signature, ready to call it with."""

    def __init__(self, route: DirectRoute) -> None:
        dependant = route.dependant
        assert route.body_field is not None, f"{route.path} takes no body"
        assert not [*dependant.path_params, *dependant.query_params, *dependant.cookie_params], route.path
        self._endpoint = cast("Callable[..., Awaitable[Response]]", route.endpoint)
        self._body_name = route.body_field.name
        self._body = TypeAdapter[Any](route.body_field.field_info.annotation or object)
        self._headers = [(field.name, field.alias.lower().encode()) for field in dependant.header_params]
        self._dependencies = [_named(dependency) for dependency in dependant.dependencies]

    async def answer(self, request: Request) -> Response:
        headers: dict[bytes, bytes] = dict(request.scope["headers"])
        if not is_json(headers.get(b"content-type", b"").decode("latin-1")):
            raise HTTPException(415)
        arguments = {name: await call(request) for name, call in self._dependencies}
        for name, alias in self._headers:
            arguments[name] = headers[alias].decode("latin-1") if alias in headers else None
        arguments[self._body_name] = self._validate(await request.body())
        return await self._endpoint(**arguments)

    def _validate(self, body: bytes) -> object:
        if not body:
            raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
        try:
            return self._body.validate_python(parse_json(body), from_attributes=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from error


def _named(dependency: Dependant) -> tuple[str, Dependency]:
    assert dependency.name is not None
    assert not dependency.dependencies, f"{dependency.name} depends on more than the request"
    return dependency.name, cast("Dependency", dependency.call)
