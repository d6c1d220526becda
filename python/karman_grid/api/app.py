"""Routes of the API. Every document comes from the service's view; nothing here decides.

Fails as `application/problem+json` (RFC 9457), never with a traceback.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from karman_grid.service.run import Service

__all__ = ["create_app"]

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """An RFC 9457 answer."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
    )


def create_app(service: Service) -> FastAPI:
    """The application that shows ``service``."""
    app = FastAPI(
        title="karman-grid",
        version=service.version,
        summary="Power orchestration for AI data centres",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    _add_errors(app)

    @app.middleware("http")
    async def add_headers(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> Response:
        """200 while the fast plane moves; 503 with the reason where it does not."""
        reason = service.ill()
        if reason is None:
            return PlainTextResponse("ok\n")
        return problem(503, "Not healthy", reason)

    @app.get("/api/v1/status")
    async def status() -> dict[str, Any]:
        """The site at a glance: load, grant and what binds it, feeds, latencies, last event."""
        return service.status()

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The same for Prometheus."""
        return Response(service.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        known = {404: "Not found", 405: "Method not allowed"}
        title = known.get(error.status_code, "Request refused")
        return problem(error.status_code, title, f"{request.method} {request.url.path}")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "Invalid request", "; ".join(e["msg"] for e in error.errors()))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "Internal error", type(error).__name__)
