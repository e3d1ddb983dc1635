"""Prints the versions of what is installed here: python versions.py REQUIREMENT…"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version

names = [re.split(r"[\[<>=]", requirement)[0] for requirement in sys.argv[1:]]
print(" ".join(f"{name} {version(name)}" for name in [*names, "openai", "wrapt", "pydantic", "httpx"]))
