"""Measures the gateway against direct CloudStack calls in the same run; results are ratios. ``python -m bench``."""
