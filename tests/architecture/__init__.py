"""Each rule of the house is a test here; ARCHITECTURE.md names the test beside the rule."""
