"""What an agent may have done for it besides talking: the profile's own tools."""
