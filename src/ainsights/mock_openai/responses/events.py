"""A response -> the events in which the API would have streamed it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ainsights.mock_openai import texts
from ainsights.mock_openai.chunks import cut
from ainsights.mock_openai.responses.body import unfinished
from ainsights.mock_openai.responses.item_events import item_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ainsights.mock_openai.script import Script

_Fields: TypeAlias = "dict[str, Any]"

_PADDING = "mQ7xT2vKp9LzR4wB"


def stream_events(response: Mapping[str, Any], script: Script, *, obfuscate: bool = True) -> list[_Fields]:
    """Return the events of ``response``, numbered from 0.

    Args:
        response: as it ends.
        script: the directives.
        obfuscate: whether deltas are padded, which the API does unless ``stream_options`` turn it off.
    """
    events = list(_events(response, script))
    for number, event in enumerate(events):
        event["sequence_number"] = number
        if obfuscate and isinstance(event.get("delta"), str):
            event["obfuscation"] = _PADDING[len(event["delta"]) % len(_PADDING) :]
    return events


def _events(response: Mapping[str, Any], script: Script) -> Iterator[_Fields]:
    yield {"type": "response.created", "response": unfinished(response, _first_status(response))}
    if response["background"]:
        yield {"type": "response.queued", "response": unfinished(response, "queued")}
    yield {"type": "response.in_progress", "response": unfinished(response, "in_progress")}
    for index, item in enumerate(response["output"]):
        yield from item_events(item, index, script.chunks)
    if script.audio:
        yield from _audio(script.chunks)
    if "hologram_call" in {item["type"] for item in response["output"]}:
        yield {"type": "response.hologram.flickered", "beam": {"好": [1, None]}}
    last = {**response, "output": None} if script.nulloutput else dict(response)
    yield {"type": f"response.{response['status']}", "response": last}


def _first_status(response: Mapping[str, Any]) -> str:
    return "queued" if response["background"] else "in_progress"


def _audio(pieces: int | None) -> Iterator[_Fields]:
    """Yield the events of audio, which have no place in a response."""
    for part in cut(texts.TRANSCRIPT, pieces):
        yield {"type": "response.audio.transcript.delta", "delta": part}
    yield {"type": "response.audio.transcript.done"}
    yield {"type": "response.audio.delta", "delta": "AAEC"}
    yield {"type": "response.audio.done"}
