"""The verbs of the shell, a module for each group of them.

Floor 7.
"""
