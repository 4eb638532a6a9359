"""Speed, measured side by side in one run (`make bench`). Ratios are medians over interleaved rounds; no test
asserts one."""
