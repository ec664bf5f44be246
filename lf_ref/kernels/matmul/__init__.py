"""The one matrix kernel: micro-kernels, epilogues, and the operands that they read."""
