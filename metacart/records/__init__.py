"""Frozen records: studies, analyses, priors and their vocabulary.

Floor 0.
"""
