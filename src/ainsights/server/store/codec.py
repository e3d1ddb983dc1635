"""Compression of bodies. Pure.

Bodies share their skeleton (the keys of an insight and of a ChatCompletion), which is given to zstandard as a
dictionary: 2.2 KB become 0.75 KB in 7 µs, against 1.2 KB in 31 µs with zlib. The dictionary is a constant, and not
trained on what is stored: it would keep words of events that are erased later.
"""

from __future__ import annotations

import threading

import zstandard

RAW = 0
ZSTD_1 = 1
"""zstandard with :data:`SKELETON_1`. Another skeleton, another number: what is stored must stay readable."""

SKELETON_1 = (
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":1,"prompt_tokens_details":{"cached_tokens":0,'
    b'"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_'
    b'"error":{"type":"invalid_request_error","message":"","code":null,"status":429,"body":null,"param":null}'
    b'"tools":[{"type":"function","function":{"name":"","description":"","parameters":{"type":"object","properties":{'
    b'"tool_calls":[{"id":"call_","type":"function","function":{"name":"","arguments":"{\\"'
    b'{"role":"tool","tool_call_id":"call_","content":"{"type":"image_url","image_url":{"url":"data:image/png;base64,'
    b'"temperature":0.0,"max_tokens":1000,"stream":true,"stream_options":{"include_usage":true},"response_format":'
    b'{"ainsights.base_url":"https://api.openai.com/v1","ainsights.event_id":"019","ainsights.http_status":200,'
    b'"ainsights.latency_ms":1.0,"ainsights.request_id":"req_","ainsights.retries":0,"ainsights.sdk":"ainsights/0.1.0 '
    b'openai/3.54.0 python/3.11","ainsights.status":"ok","ainsights.stream":true,"ainsights.timestamp":"2025-01-01T00:'
    b'00:00.000000Z","ainsights.ttft_ms":1.0,"conversation_id":"","session_id":"","trace_id":"","tags":[],"release":"'
    b'"template":null,"inputs":{},"args":{"model":"gpt-4o-mini"},"user_id":null,"meta":{'
    b'"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"'
    b'"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"","refusal":null,"role":"assistant",'
    b'"annotations":[],"audio":null,"function_call":null,"tool_calls":null}}],"created":1700000000,'
    b'"model":"gpt-4o-2024-08-06","object":"chat.completion",'
    b'{"response":{"id":"chatcmpl-","object":"chat.completion","created":17,"model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"'
)

LEVEL = 3

_dictionary = zstandard.ZstdCompressionDict(SKELETON_1, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_dictionary.precompute_compress(level=LEVEL)
_local = threading.local()
_IN_C = zstandard.backend == "cext"


def compress(body: bytes) -> tuple[int, bytes]:
    """Return the codec that was used, and the content to store."""
    compressor = getattr(_local, "compressor", None)
    if compressor is None:  # zstandard's objects take one thread at a time
        compressor = _local.compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=_dictionary)
    content: bytes = compressor.compress(body)
    return (ZSTD_1, content) if len(content) < len(body) else (RAW, body)


def decompress(codec: int, content: bytes) -> bytes:
    """Return the body.

    Raises:
        ValueError: the content is damaged, or of a codec that is not known.
    """
    if codec == RAW:
        return content
    if codec != ZSTD_1:
        raise ValueError(f"unknown codec {codec}")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary)
    try:
        body: bytes = decompressor.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return body


def compress_all(bodies: list[bytes]) -> list[tuple[int, bytes]]:
    """Return what :func:`compress` returns of each, in one step: so the thread gives the interpreter away only once."""
    if len(bodies) == 1 or not _IN_C:
        return [compress(body) for body in bodies]
    compressor = getattr(_local, "batch_compressor", None)
    if compressor is None:
        compressor = _local.batch_compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=_dictionary)
    segments = compressor.multi_compress_to_buffer([*bodies])
    contents = (segments[n].tobytes() for n in range(len(bodies)))
    return [
        (ZSTD_1, content) if len(content) < len(body) else (RAW, body)
        for body, content in zip(bodies, contents, strict=True)
    ]
