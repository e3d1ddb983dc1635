"""Events on disk, shared by any number of processes."""
