"""The program: `python -m satmip`."""

import sys

from .program import main

sys.exit(main())
