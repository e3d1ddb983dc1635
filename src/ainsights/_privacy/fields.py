"""The names that the API and ainsights give to fields: no secrets, and without them nothing can be read."""

from __future__ import annotations

import re

from ainsights._model import MetaKey

API = frozenset(
    """action annotations args arguments audio background bytes call_id choices code completion_tokens content
    conversation created created_at custom data detail end_index error file file_data file_id filename finish_reason
    format function function_call id image_url incomplete_details index input input_audio instructions logprob logprobs
    message messages metadata model name object original outline output parameters previous_response_id prompt_tokens
    queries query reasoning reasoning_content refusal result results role schema service_tier start_index status summary
    system_fingerprint text title token tool_call tool_call_id tool_calls tool_choice tools top_logprobs total_tokens
    transcript type url url_citation usage""".split()  # noqa: SIM905  words read better
)

KINDS = frozenset({"finish_reason", "object", "role", "type"})
"""Fields whose values name the kind of a thing."""

WORDS = frozenset(
    """allowed_tools array assistant boolean chat.completion code_interpreter code_interpreter_call compaction
    computer_call computer_call_output content_filter critic custom custom_tool_call custom_tool_call_output developer
    file file_citation file_search_call function function_call function_call_output grammar image_generation_call
    image_url input_audio input_file input_image input_text integer item_reference json_object json_schema length
    local_shell_call mcp_approval_request mcp_call mcp_list_tools message null number object output_text reasoning
    reasoning_text refusal shell_call shell_call_output stop string summary_text system text tool tool_calls tool_use
    url_citation user web_search web_search_call""".split()  # noqa: SIM905  words read better
)
"""The values that they have."""

IDENTIFIERS = frozenset(
    {
        "call_id",
        "conversation",
        "id",
        "item_id",
        "previous_response_id",
        "response_id",
        "tool_call_id",
        MetaKey.CONVERSATION_ID,
        MetaKey.PREVIOUS_RESPONSE_ID,
        MetaKey.REQUEST_ID,
    }
)
"""Fields that refer to what the API has made."""

IDENTIFIER = re.compile(
    r"(call|chatcmpl|cmpl|conv|ctc|cu|fc|fs|ig|item|lsh|mcp[alr]?|msg|req|resp|rs|ws)[_-][0-9A-Za-z]{20,64}"
)
"""What the API's own identifiers look like: random characters, more of them than a card number has digits."""
