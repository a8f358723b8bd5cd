"""Language models: architecture, families, weights and tokenizers."""
