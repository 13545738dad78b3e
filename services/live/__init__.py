"""The live calendar of a process: it follows the log and tells whoever watches."""
