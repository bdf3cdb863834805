"""One table from what went wrong to an HTTP status, and one writer of problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from twin.errors import (
    FrameMismatchError,
    MissingInputError,
    NotFoundError,
    OptionsError,
    StoreError,
    TwinError,
)

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
_PROCESSES = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


class ParameterError(TwinError):
    """A query parameter is unknown or malformed; `parameter` names it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


class BodyError(TwinError):
    """The body reads well but says what cannot be; `faults` are (JSON pointer, detail)."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in faults[:10]))
        self.faults = tuple(faults)


class BusyError(TwinError):
    """A bound of the server is reached; the same request may pass after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ForbiddenError(TwinError):
    """The caller may not write here."""


class NoSuchProcessError(NotFoundError):
    """No process of that id."""


class NoSuchJobError(NotFoundError):
    """No job of that id, or it has been forgotten."""


class ResultNotReadyError(NotFoundError):
    """The job has no result yet, or never will."""


# The nearest class in the order of inheritance decides; whatever is not named here is our fault, 500.
STATUS: Mapping[type[TwinError], int] = {
    TwinError: 500,
    NotFoundError: 404,
    OptionsError: 422,
    FrameMismatchError: 422,
    MissingInputError: 409,
    StoreError: 503,
    ParameterError: 400,
    BodyError: 422,
    BusyError: 503,
    ForbiddenError: 403,
}

# OGC API Processes Part 1 names three exceptions by URI; everything else is about:blank.
TYPES: Mapping[type[TwinError], str] = {
    NoSuchProcessError: _PROCESSES + "no-such-process",
    NoSuchJobError: _PROCESSES + "no-such-job",
    ResultNotReadyError: _PROCESSES + "result-not-ready",
}


def status_of(error: TwinError) -> int:
    """HTTP status of an error, from the nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int, detail: str, instance: str, *, kind: str = "about:blank", errors: Iterable[Mapping[str, str]] = ()
) -> bytes:
    """A problem document as bytes: type, title, status, detail, instance, and where known the faults one by one."""
    document: dict[str, Any] = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    faults = [dict(fault) for fault in errors]
    if faults:
        document["errors"] = faults
    return orjson.dumps(document)


def install(app: FastAPI) -> None:
    """Every error of the app, ours and the framework's, answered as a problem document."""
    app.add_exception_handler(TwinError, _twin_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unforeseen)


def _answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, PROBLEM)


async def _twin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TwinError)
    status = status_of(error)
    if status >= 500 and not isinstance(error, BusyError):
        logger.error("%s %s: %s", request.method, request.url.path, error)
    body = problem(
        status, str(error), request.url.path, kind=TYPES.get(type(error), "about:blank"), errors=_faults(error)
    )
    return _answer(status, body, {"Retry-After": str(error.retry_after)} if isinstance(error, BusyError) else None)


def _faults(error: TwinError) -> list[dict[str, str]]:
    if isinstance(error, ParameterError):
        return [{"parameter": error.parameter, "detail": str(error)}]
    if isinstance(error, BodyError):
        return [{"pointer": pointer, "detail": detail} for pointer, detail in error.faults]
    return []


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"nothing is served at {request.url.path}; GET / lists what is"
    return _answer(error.status_code, problem(error.status_code, detail, request.url.path), error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(item) for item in error.errors()]
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    in_body = all("pointer" in fault for fault in faults)
    status = 422 if in_body and not malformed else 400
    detail = "; ".join(f"{next(iter(fault.values()))}: {fault['detail']}" for fault in faults)
    return _answer(status, problem(status, detail, request.url.path, errors=faults))


def _fault(item: Mapping[str, Any]) -> dict[str, str]:
    where, *path = [str(part) for part in item["loc"]]
    if where == "body":
        return {"pointer": "/" + "/".join(path), "detail": str(item["msg"])}
    return {"parameter": ".".join(path) or where, "detail": str(item["msg"])}


async def _unforeseen(request: Request, error: Exception) -> Response:
    detail = "the server failed at this request; the reason is in its log"
    return _answer(500, problem(500, detail, request.url.path))
