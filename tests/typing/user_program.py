"""What a type checker finds in a user's program: checked by ``mypy --strict``, not run."""

from __future__ import annotations

from typing_extensions import assert_type

import ainsights
from ainsights import Insight, Insights, Stats

insights = ainsights.instrument(api_key="k", sample_rate=0.5)
assert_type(insights, Insights)
assert_type(ainsights.flush(), bool)
assert_type(ainsights.flush(timeout=1.5), bool)
assert_type(ainsights.shutdown(2), bool)
assert_type(ainsights.stats(), Stats)
assert_type(ainsights.stats().delivered, int)
assert_type(ainsights.stats().last_error, "str | None")
assert_type(ainsights.uninstrument(), None)
assert_type(ainsights.__version__, str)

with Insights(base_url="http://localhost:8383") as own:
    assert_type(own, Insights)
    assert_type(own.close(), bool)

insight = Insight(response={}, messages="hi")
assert_type(insight.user_id, "str | None")
assert_type(insight.encode(), bytes)

try:
    ainsights.instrument(timeout=0)
except ainsights.ConfigurationError as error:
    assert_type(error, ainsights.ConfigurationError)
