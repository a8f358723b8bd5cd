"""Statistics of the trade-off between local and global scores (NumPy only)."""
