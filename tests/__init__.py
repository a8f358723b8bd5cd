"""Laws of the project, and comparisons with other implementations."""
