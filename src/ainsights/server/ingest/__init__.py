"""Ingestion: ``PUT /insight``, from the bytes of a request to the store."""
