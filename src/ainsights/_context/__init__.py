"""Who, what and why: ``context()``, templates, and what they remember."""
