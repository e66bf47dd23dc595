"""The floor for HTTP figures: the same framework and server answering a constant, no middleware, no store."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request, Response


def application(body: bytes) -> FastAPI:
    """Return an app whose GET and POST answer these bytes."""
    app = FastAPI()

    @app.get("/get")
    async def get() -> Response:
        return Response(body, media_type="application/json")

    @app.post("/post")
    async def post(request: Request) -> Response:
        await request.body()
        return Response(body, media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(b'{"total_value":1000000.00}' * 12), port=int(sys.argv[1]), log_level="warning", access_log=False
    )
