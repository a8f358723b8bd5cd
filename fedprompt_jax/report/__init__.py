"""Figures, tables and the report of a run folder, from its files alone."""
