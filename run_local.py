#!/usr/bin/env python3
"""Run τ²-bench tasks: `python run_local.py --domains retail --log-level PROFILE`."""

import signal
import sys

# until the run takes ^C into its own hands, it ends the process without a traceback
signal.signal(signal.SIGINT, signal.SIG_DFL)

from tau2_enhanced.runner.main import main  # noqa: E402  # the line above must come first

if __name__ == "__main__":
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
