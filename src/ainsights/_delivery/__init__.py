"""Delivery: from a captured event to the endpoint's answer.

``pipeline`` holds the queue and the threads, ``sender`` makes one request, ``retry`` decides what its answer means,
``tally`` counts. Events that must outlive the process will go through ``spool``, between encoding and sending.
"""
