"""The Responses API: ``output`` (items, from ``samples``) → ``body`` (the response) → ``events`` (as a stream).

``endpoint`` has its routes and ``stored`` what it remembers; ``websocket`` serves the same over a WebSocket.
"""
