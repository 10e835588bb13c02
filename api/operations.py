"""Name operations in OpenAPI after the functions that do them: short, and the same when an address changes."""

from fastapi.routing import APIRoute


def operation_id(route: APIRoute) -> str:
    """Name an operation."""
    return route.name
