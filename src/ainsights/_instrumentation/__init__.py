"""What sees the calls: the patches of openai, whose a call is, and one call as seen on the wire."""
