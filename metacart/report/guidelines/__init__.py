"""Reporting guidelines: which of their items the page answers, where, and which it leaves open."""
