"""Kinds of trained parameters, one file each."""
