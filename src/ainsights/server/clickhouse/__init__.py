"""The endpoint's store on ClickHouse, for any number of replicas (extra ``ainsights[clickhouse]``).

A batch walks this way: ``writer`` (gathers what waits) → ``batch`` → ``numbers`` of a ``slot``, ``rows`` (the columns
of each event), ``linking`` (its conversation, by the table of ``links``) → one insert → ``ledger`` (the replica's hash
chain). ``erasure``, ``maintenance`` (retention, purge), ``verify`` and ``access_log`` are the other parts of ``store``;
``keys`` and ``views`` are shared by all replicas; ``engine`` answers queries. ``address`` is what ``--store`` names,
``connection`` the driver, ``schema`` and ``migrations`` the tables; ``source`` reads all of it for a copy. ``backend``
opens what an endpoint needs.
"""
