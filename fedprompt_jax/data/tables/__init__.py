"""Tables of rows and cells, from files and the hub, for sources to read."""
