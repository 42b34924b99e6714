#!/usr/bin/env python3
"""Run τ²-bench tasks: `python run_local.py --domains retail --log-level PROFILE`."""

import sys

from tau2_enhanced.runner.main import main

if __name__ == "__main__":
    sys.exit(main())
