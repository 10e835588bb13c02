"""Serve the pages that problems link to: what a code means, and what to do about it."""

from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from api import problems

router = APIRouter()

_DETAILS = (
    {problems.code_of(kind): (status, kind().detail) for kind, status in problems.STATUS.items()}
    | {problems.CODE_BY_STATUS[status]: (status, detail) for status, detail in problems.DETAIL_BY_STATUS.items()}
    | {
        "malformed_request": (400, "The request cannot be read; the problem says where reading it failed."),
        "validation_failed": (422, problems.INVALID),
        "internal_error": (500, problems.DEFECT),
    }
)


@router.get("/problems/{slug}", include_in_schema=False)
async def get_problem(slug: str) -> HTMLResponse:
    """Explain one code."""
    code = slug.replace("-", "_")
    if code not in _DETAILS:
        raise HTTPException(404)
    status, detail = _DETAILS[code]
    title = escape(code.replace("_", " ").capitalize())
    return HTMLResponse(f"<!doctype html><title>{title}</title><h1>{title}</h1><p>HTTP {status}. {escape(detail)}</p>")
