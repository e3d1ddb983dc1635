"""Query -> SQL, one module for each engine. Values are always bound, never written into the statement."""
