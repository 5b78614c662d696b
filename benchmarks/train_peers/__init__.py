"""The programs that `python -m benchmarks.train` compares, each behind the same small adapter."""
