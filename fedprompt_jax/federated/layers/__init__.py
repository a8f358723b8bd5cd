"""Which layers of a prefix travel, and what the server makes of them.

FedPepTAO (arXiv 2310.15080). scores.py ranks layers, spectrum.py and lanczos.py
say how many are needed, partial.py takes trees apart by layer, server_steps.py
is the server.
"""
