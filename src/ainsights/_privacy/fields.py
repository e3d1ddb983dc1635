"""The names that the API and ainsights give to fields: no secrets, and without them nothing can be read."""

from __future__ import annotations

API = frozenset(
    """annotations args arguments audio bytes choices completion_tokens content created created_at custom data detail
    error file file_data file_id filename finish_reason format function function_call id image_url index input
    input_audio logprob logprobs message messages metadata model name object parameters prompt_tokens refusal role
    schema system_fingerprint service_tier text token tool_call_id tool_calls tool_choice tools top_logprobs
    total_tokens transcript type url usage""".split()  # noqa: SIM905  words read better
)

KINDS = frozenset({"finish_reason", "object", "role", "type"})
"""Fields whose values name the kind of a thing."""

WORDS = frozenset(
    """allowed_tools array assistant boolean chat.completion content_filter critic custom developer file function
    function_call grammar image_url input_audio integer json_object json_schema length null number object refusal stop
    string system text tool tool_calls tool_use url_citation user""".split()  # noqa: SIM905  words read better
)
"""The values that they have."""
