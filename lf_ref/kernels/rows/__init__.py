"""What is done to each token by itself: activations, norm, rounding."""
