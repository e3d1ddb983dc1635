"""Copies of whole stores: ``ainsights export --db … | ainsights import --store …``, and back.

``stream`` (the lines of a copy, pure) → ``stores`` (what is read and written, SQLite or ClickHouse) → ``transfer``.
"""
