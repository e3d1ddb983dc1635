"""Random numbers of our own: drawing from Python's global generator would change what a seeded program draws."""

from __future__ import annotations

import random

from ainsights import _lifecycle

generator = random.Random()  # noqa: S311  sampling and jitter, no secrets

_lifecycle.after_fork_in_child(generator.seed)  # or each child would draw its parent's numbers
