"""The Insight Explorer: pages rendered on the server over the query engine. Captured text is hostile here."""
