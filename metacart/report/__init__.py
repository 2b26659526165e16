"""From results and figures to a page. Floor 6."""

__all__ = ["DEFAULT_SEED"]

# of ``report`` and of the shell, so that page and commands print the same limits
DEFAULT_SEED = 1
