"""A captured call becomes the bytes of an insight, on the background thread."""
