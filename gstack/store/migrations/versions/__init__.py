"""One file a migration, run in the order of their ``down_revision``."""
