"""Routes with the paths, parameters and fields they had in systems that coinwatch replaces, one module per system."""
