"""tau2-enhanced: a local evaluation runner for τ²-bench."""

from tau2_enhanced.tau2_source import use_named_source

__version__ = "0.1.0"

use_named_source()
