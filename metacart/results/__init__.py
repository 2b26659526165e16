"""From a fit to tables: every answer is a DataFrame. Floor 4."""
