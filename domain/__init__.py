"""The rules: pure, no I/O, no clock. `now` and everything else comes in as an argument."""
