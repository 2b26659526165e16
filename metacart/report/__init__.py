"""From results and figures to a page. Floor 6."""
