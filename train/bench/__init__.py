"""Speed and memory: `python -m train.bench` (or `make bench`), and `python -m train.bench.sbi`."""
