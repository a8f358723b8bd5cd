"""Data, in numpy only: reading, splitting, partitioning, packing."""
