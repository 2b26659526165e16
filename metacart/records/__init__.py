"""Frozen records: studies, analyses, priors and their vocabulary. Floor 0: imports nothing of metacart but errors."""
