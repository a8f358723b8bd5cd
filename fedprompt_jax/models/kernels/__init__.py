"""Attention that keeps no scores, by kernels for TPUs and GPUs."""
