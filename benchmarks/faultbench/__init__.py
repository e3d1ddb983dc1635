"""The fault bench: real programs, a real endpoint on loopback, and all that may go wrong between them."""
