"""Studies to other programs, and from a spreadsheet."""
