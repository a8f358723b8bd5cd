"""GGUF files, made into folders of Hugging Face's layout."""
