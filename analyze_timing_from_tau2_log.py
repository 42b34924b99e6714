#!/usr/bin/env python3
"""Say where the time of a run went: `python analyze_timing_from_tau2_log.py --log_file logs/eval_retail.log`."""

import sys

from tau2_enhanced.analysis.main import main

if __name__ == "__main__":
    sys.exit(main())
