"""Known mistakes of ports, each a change of the reference implementation, and the search for the one that was made."""
