"""A small model that stands in for the server's at the clients (FedSP).

distillation.py  the server fits it before the first round
turn.py          what a client does with it in a round
"""
