"""Evidence: files to records, gates, conversions, and findings to a table. Floor 1."""
