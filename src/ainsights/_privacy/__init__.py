"""What may leave the process: content levels, redaction, media, credentials, size. Pure."""
