"""gstack: a Google Compute Engine v1 API in front of Apache CloudStack."""

__version__ = "2.0.0.dev0"
