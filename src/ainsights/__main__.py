"""``python -m ainsights``: the command line."""

import sys

from ainsights._cli import main

sys.exit(main())
