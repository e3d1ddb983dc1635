"""Stands before the package of this name in the path of programs that tests start."""

raise ModuleNotFoundError("programs of the tests run without it", name="trio")
