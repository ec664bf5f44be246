"""What the CPU offers."""
