"""Composition: which adapter stands behind each port. The only package that names adapters; nothing runs at import."""

from __future__ import annotations

from api.bootstrap.answering import http
from api.bootstrap.operating import Operating, operating
from api.bootstrap.projecting import projections
from api.bootstrap.registry import PROJECTORS, projector
from api.bootstrap.relaying import relaying
from api.bootstrap.searching import COPIED
from api.bootstrap.sending import sender
from api.bootstrap.working import working

__all__ = [
    "COPIED",
    "PROJECTORS",
    "Operating",
    "http",
    "operating",
    "projections",
    "projector",
    "relaying",
    "sender",
    "working",
]
