"""Studies: many runs of one config, each with other values of some keys."""
