"""Answers to our script: for the one who asked, and for no cache in between."""

from __future__ import annotations

from flask import Response


def private(body: bytes, status: int = 200) -> Response:
    """Return `body`, JSON or nothing, as an answer that nobody else is ever given."""
    response = Response(body, status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Cookie")
    return response
