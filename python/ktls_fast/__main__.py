"""Run the command ``ktls-fast`` as ``python -m ktls_fast``."""

import sys

from ktls_fast._tools.cli import main

sys.exit(main())
