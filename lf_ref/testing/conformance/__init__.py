"""The conformance suite: a candidate run on cases, from the command line, pytest or a test of its own."""
