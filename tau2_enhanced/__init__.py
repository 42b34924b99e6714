"""tau2-enhanced: a local evaluation runner for τ²-bench."""

__version__ = "0.1.0"
