"""``python -m ktls_fast`` is the command ``ktls-fast``."""

import sys

from ktls_fast._tools.cli import main

sys.exit(main())
