"""The frozen model under a bank: small trees with a leading axis of owners."""
