"""An experiment from its config to its run folder."""
