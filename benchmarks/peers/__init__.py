"""Other programs that benchmarks compare with: an environment for each, and what runs inside of it."""
