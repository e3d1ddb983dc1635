"""Hides the package of this name from the programs that tests start."""

raise ModuleNotFoundError("programs of the tests run without it", name="aiohttp")
