"""Ingestion: ``PUT /insight``, from the bytes of a request to the store."""

from __future__ import annotations

from ainsights.server.ingest.route import IngestRoute

__all__ = ["IngestRoute"]
