"""What may leave of a response: credentials, content levels, redaction, media and size, as of a chat completion."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

from openai.types.chat import ChatCompletion
from support.models import client
from support.responses import answering, call, compatible_arguments, message, reasoning, response

import ainsights
import ainsights.testing
from ainsights import Insight, Template

SECRET = "s3cr3t-value-42"
MCP = {
    "type": "mcp",
    "server_label": "s",
    "server_url": "https://mcp",
    "authorization": SECRET,
    "headers": {"X": SECRET},
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}


def captured(whole: dict[str, Any] | None = None, given: Any = "hi", settings: Any = None, **args: Any) -> Insight:
    with ainsights.testing.capture(**(settings or {})) as insights:
        create = client(answering(whole or response(message("hello")))).responses.create
        create(model="m", input=given, **compatible_arguments(create, **args))
    (insight,) = insights
    ChatCompletion.model_validate(insight.response)
    return insight


def test_credentials_of_tools_are_masked_wherever_the_tools_are() -> None:
    added = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [MCP]}
    whole = response(added, message("a"), tools=[MCP], metadata={"api_key": SECRET})
    insight = captured(whole, given=[added, {"role": "user", "content": "hi"}], tools=[MCP])
    assert SECRET not in insight.model_dump_json()
    assert insight.response["tools"][0]["server_url"] == "https://mcp"
    assert insight.response["output"][0]["tools"][0]["server_label"] == "s"


def test_credentials_of_tools_are_masked_in_items_of_any_type_and_in_instructions() -> None:
    added = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [MCP]}
    unknown = {"type": "x_new", "payload": [{"tools": [MCP]}]}
    insight = captured(response(unknown, instructions=[added]), given=[unknown])
    assert SECRET not in insight.model_dump_json()
    assert insight.response["instructions"][0]["tools"][0]["server_label"] == "s"
    assert insight.response["output"][0]["payload"][0]["tools"][0]["server_label"] == "s"


def test_secrets_of_a_network_policy_are_masked() -> None:
    secrets = [{"domain": "a.example", "name": "KEY", "value": SECRET}]
    policy = {"type": "allowlist", "allowed_domains": ["a.example"], "domain_secrets": secrets}
    tool = {"type": "shell", "environment": {"type": "container_auto", "network_policy": policy}}
    assert SECRET not in captured(response(message("a"), tools=[tool]), tools=[tool]).model_dump_json()


def test_metadata_has_no_text_of_the_conversation() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": SECRET}]},
        reasoning(SECRET),
        call(f'{{"a":"{SECRET}"}}'),
        {"type": "function_call_output", "call_id": "call_0", "output": SECRET},
    ]
    searched = SEARCH | {"action": {"type": "search", "query": SECRET}}
    whole = response(reasoning(SECRET), searched, message(SECRET), call(SECRET), instructions=SECRET)
    insight = captured(
        whole,
        items,
        {"content": "metadata"},
        instructions=SECRET,
        previous_response_id="resp_0",
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=9,
    )
    assert SECRET not in insight.model_dump_json()
    assert [each.get("role", each.get("type")) for each in insight.messages or ()] == [
        "system",
        "user",
        "reasoning",
        "assistant",
        "tool",
    ]
    assert insight.args["reasoning"] == {"effort": "low", "summary": "auto"}
    assert (insight.args["max_output_tokens"], insight.args["previous_response_id"]) == (9, "resp_0")
    assert insight.response["status"] == "completed"
    assert insight.response["usage"]["prompt_tokens"] == 3
    item = insight.response["output"][0]
    assert (item["type"], item["id"], item["ainsights.chars"] > len(SECRET)) == ("web_search_call", "ws_1", True)
    (tool_call,) = insight.response["choices"][0]["message"]["tool_calls"]
    assert (tool_call["id"], tool_call["function"]["name"]) == ("call_0", "f")


def test_metadata_has_no_text_in_place_of_an_identifier() -> None:
    text = f"a text: {SECRET}"
    insight = captured(None, settings={"content": "metadata"}, conversation=text, previous_response_id=text)
    assert SECRET not in insight.model_dump_json()


def test_metadata_of_a_context_holds_for_one_call() -> None:
    with ainsights.context(content="metadata"):
        assert SECRET not in captured(response(message(SECRET))).model_dump_json()


def test_texts_are_redacted_wherever_they_are() -> None:
    mail = "ann@example.com"
    cited = {"type": "url_citation", "url": f"https://a/?m={mail}", "title": mail, "start_index": 0, "end_index": 1}
    part = {"type": "output_text", "text": f"to {mail}", "annotations": [cited]}
    whole = response(
        reasoning(mail),
        SEARCH | {"action": {"type": "search", "query": mail}},
        message(content=[part]),
        call(json.dumps({"to": mail})),
        instructions=mail,
    )
    insight = captured(whole, [{"role": "user", "content": mail}], {"redact": ["email"]}, instructions=mail)
    assert mail not in insight.model_dump_json()
    assert insight.response["choices"][0]["message"]["content"] == "to [email]"
    assert insight.response["output"][0]["type"] == "web_search_call"


def test_tokens_of_redacted_texts_are_not_spelled_in_logprobs() -> None:
    good = {"token": "ann@", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    odd = {"token": "ann@", "logprob": -1.0}
    parts = [
        {"type": "output_text", "text": "ann@example.com", "annotations": [], "logprobs": [each]}
        for each in (good, odd)
    ]
    insight = captured(response(message(content=parts)), settings={"redact": ["email"]})
    assert "ann@" not in insight.model_dump_json()


ANN = {"token": "ann@", "logprob": -1.0, "bytes": [97], "top_logprobs": [{"token": "ann@", "logprob": -1.0}]}
MAIL = {"type": "output_text", "text": "ann@example.com", "annotations": [], "logprobs": [ANN]}


def test_tokens_of_redacted_texts_are_not_spelled_where_answers_are_passed_on() -> None:
    given = [message(content=[MAIL]), {"role": "user", "content": "hi"}]
    insight = captured(given=given, settings={"redact": ["email"]})
    assert "ann@" not in insight.model_dump_json()
    assert (insight.messages or [{}])[0]["content"][0]["logprobs"][0]["logprob"] == -1.0


def test_tokens_of_redacted_texts_are_not_spelled_in_items_that_stay_as_they_are() -> None:
    odd = message(content=[MAIL, {"type": "output_text", "text": None}])
    insight = captured(response(odd), settings={"redact": ["email"]})
    assert insight.response["output"][0]["content"][0]["text"] == "[email]"
    assert "ann@" not in insight.model_dump_json()


def test_words_of_the_api_are_not_redacted() -> None:
    settings = {"redact": [re.compile("message|output_text|reasoning|completed|function_call|web_search_call")]}
    whole = response(reasoning("a"), message("b"), call(), SEARCH)
    insight = captured(whole, [{"type": "reasoning", "id": "rs", "summary": []}], settings)
    assert [entry.get("type") for entry in insight.response["outline"]] == [
        "reasoning",
        "message",
        "function_call",
        None,
    ]
    assert insight.response["output"][0]["type"] == "web_search_call"
    assert insight.messages == [{"type": "reasoning", "id": "rs", "summary": []}]


def test_large_images_become_their_description() -> None:
    image = "iVBORw0K" * 4000
    made = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": image}
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"}
    insight = captured(response(made), [{"role": "user", "content": [part]}])
    assert image not in insight.model_dump_json()
    assert re.match(r"\[image/png, 24000 bytes, sha256 ", insight.response["output"][0]["result"])
    assert insight.meta["ainsights.truncated"].keys() == {
        "response.output.0.result",
        "messages.0.content.0.image_url.url",
    }


@pytest.mark.parametrize("limit", [4096, 8192, 30_000])
def test_response_beyond_the_limit_is_cut_and_still_validates(limit: int) -> None:
    searches = [SEARCH | {"action": {"type": "search", "query": "q" * 500}} for _ in range(20)]
    whole = response(reasoning("r" * 9000), *searches, message("m" * 9000), call("a" * 9000), instructions="i" * 9000)
    insight = captured(whole, "x" * 9000, {"max_event_bytes": limit}, instructions="i" * 9000)
    assert len(insight.encode()) <= limit
    assert insight.meta["ainsights.truncated"]


def test_logprobs_beyond_the_limit_are_cut_and_still_validate() -> None:
    long = "t" * 3000
    new: dict[str, Any] = {"x_new": {"deep": [long, {long: long}]}}
    token = {"token": long, "logprob": -1.0, "bytes": [7], **new}
    part = {"type": "output_text", "text": long, "annotations": [], "logprobs": [token | {"top_logprobs": [token]}]}
    messages = [message(content=[part | new])] * 8
    tools = [{"type": "function", "name": long, "parameters": {long: long}, **new}] * 16
    assert captured(response(*messages), messages, {"max_event_bytes": 4096}, tools=tools).meta["ainsights.truncated"]


def test_before_send_sees_responses() -> None:
    def rename(insight: Insight) -> Insight:
        insight.response["choices"][0]["message"]["content"] = "changed"
        return insight

    assert captured(settings={"before_send": rename}).response["choices"][0]["message"]["content"] == "changed"


def test_encrypted_content_is_in_no_event() -> None:
    encrypted = "gAAAAAB" * 30
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted}
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": encrypted}
    insight = captured(response(thoughts, compaction), [thoughts, compaction, {"role": "user", "content": "hi"}])
    assert "gAAA" not in insight.model_dump_json()
    size = "[encrypted, 210 characters]"
    assert [each.get("encrypted_content") for each in insight.messages or ()] == [size, size, None]
    assert insight.response["output"] == [compaction | {"encrypted_content": size}]


def test_template_is_found_by_the_input() -> None:
    template = Template([{"role": "user", "content": [{"type": "input_text", "text": "Hi, {name}"}]}])
    messages: Any = template.format(name="Ann")
    insight = captured(given=messages)
    assert (insight.template, insight.inputs) == (template.source, {"name": "Ann"})
    assert insight.messages == [{"role": "user", "content": [{"type": "text", "text": "Hi, Ann"}]}]


def test_template_whose_text_is_the_input_is_found() -> None:
    template = Template("Hi, {name}")
    text: Any = template.format(name="Ann")[0]["content"]
    insight = captured(given=text)
    assert (insight.template, insight.inputs) == (template.source, {"name": "Ann"})


@pytest.mark.parametrize("field", ["user", "safety_identifier"])
def test_user_and_metadata_of_the_request_are_those_of_the_event(field: str) -> None:
    insight = captured(**{field: "ann"}, metadata={"topic": "t"})
    assert (insight.user_id, insight.meta["topic"]) == ("ann", "t")


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_previous_response_and_conversation_are_in_meta(conversation: Any) -> None:
    linked = captured(conversation=conversation)
    assert linked.meta["ainsights.conversation_id"] == "conv_1"
    answered = captured(response(message("a"), previous_response_id="resp_0", conversation={"id": "conv_2"}))
    assert answered.meta["ainsights.previous_response_id"] == "resp_0"
    assert answered.meta["ainsights.conversation_id"] == "conv_2"
    assert captured().meta.keys().isdisjoint({"ainsights.previous_response_id", "ainsights.conversation_id"})


CARD = "4111111111111111"
LIKE_A_CARD = f"resp_68ab{CARD}cdef0123456789abcdef01"


def test_identifiers_of_the_api_are_not_taken_for_card_numbers() -> None:
    whole = response(call("{}") | {"id": LIKE_A_CARD.replace("resp", "fc")}, id=LIKE_A_CARD)
    output = {"type": "function_call_output", "call_id": LIKE_A_CARD.replace("resp", "call"), "output": CARD}
    before = LIKE_A_CARD.replace("a", "b")
    insight = captured(whole, given=[output], settings={"redact": ["credit_card"]}, previous_response_id=before)
    assert insight.response["id"] == LIKE_A_CARD
    assert insight.args["previous_response_id"] == before
    assert LIKE_A_CARD.replace("resp", "call") in str(insight.messages)
    assert CARD not in str(insight.messages).replace(LIKE_A_CARD[5:], "")


def test_links_to_what_a_response_continues_are_not_taken_for_card_numbers() -> None:
    conversation = LIKE_A_CARD.replace("resp", "conv")
    links = {"previous_response_id": LIKE_A_CARD, "conversation": conversation}
    insight = captured(settings={"redact": ["credit_card"]}, **links)
    assert {key: insight.args[key] for key in links} == links
    assert insight.meta["ainsights.previous_response_id"] == LIKE_A_CARD
    assert insight.meta["ainsights.conversation_id"] == conversation


@pytest.mark.parametrize("text", [CARD, f"resp_{CARD}", f"my card: {CARD}", f"card {LIKE_A_CARD}"])
def test_other_text_in_a_field_of_identifiers_is_redacted(text: str) -> None:
    insight = captured(response(message("a"), id=text), settings={"redact": ["credit_card"]})
    assert CARD not in insight.model_dump_json()


def test_own_rules_see_identifiers_of_the_api() -> None:
    insight = captured(response(message("a"), id=LIKE_A_CARD), settings={"redact": [re.compile(r"resp_\w+")]})
    assert insight.response["id"] == "[redacted]"
