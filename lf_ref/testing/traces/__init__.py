"""What a forward pass computes, tensor by tensor: names, recording, torch hooks, and the file of a trace."""
