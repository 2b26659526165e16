"""From (spec, evidence) to the PyMC graph. Floor 2."""
