"""The tensors of a forward pass: names, recording, torch hooks, and the file of a trace."""
