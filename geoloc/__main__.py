"""`python -m geoloc` is the command line."""

import sys

from geoloc.cli.main import main

sys.exit(main())
