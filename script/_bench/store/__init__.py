"""Ask a store of 10 million events what a home asks it."""
