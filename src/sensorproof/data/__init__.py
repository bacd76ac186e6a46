"""From files to tensors: the batch format, importers, the simulator, splits and loading."""
