"""Start the real servers that tests and the demo talk to, on the loopback address and in temporary folders."""
