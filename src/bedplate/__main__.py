"""`python -m bedplate`."""

import sys

from bedplate.cli.main import main

sys.exit(main())
