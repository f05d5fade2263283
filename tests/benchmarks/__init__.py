"""Benchmarks: us and a yardstick, interleaved in one run. They judge nothing."""
