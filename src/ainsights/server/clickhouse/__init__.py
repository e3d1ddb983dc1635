"""The endpoint's store on ClickHouse, for any number of replicas (extra ``ainsights[clickhouse]``).

``address`` (what ``--store`` names) → ``connection`` (the driver, with errors of ours) → ``schema`` (the tables).
"""
