"""``python -m ainsights``: the command line."""

import sys

from ainsights.cli import main

sys.exit(main())
