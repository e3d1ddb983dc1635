"""One output item of every type that the Responses API has, and of one that it does not have. Pure.

The directive ``output=web_search_call+mcp_call`` names them by these keys: their types, or how they fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
ENCRYPTED = "gAAAAABtb2NrIHJlYXNvbmluZyBpcyBub3Qgc2VjcmV0"
_URL = "https://example.com/wetter?stadt=zürich"
_TOOL = {"type": "function", "name": "lookup", "description": None, "parameters": {"type": "object"}, "strict": True}
_SCREENSHOT = {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{PIXEL}"}
_OUTPUT = {"stdout": "grüße\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
_LISTED = {"name": "roll", "description": "Rolls dice", "input_schema": {"type": "object"}, "annotations": None}

_SAMPLES: dict[str, Callable[[str], dict[str, Any]]] = {
    "web_search_call": lambda key: {
        "id": f"ws_{key}",
        "status": "completed",
        "action": {"type": "search", "query": "Wetter Zürich", "sources": [{"type": "url", "url": _URL}]},
    },
    "file_search_call": lambda key: {
        "id": f"fs_{key}",
        "status": "completed",
        "queries": ["naïve café"],
        "results": [
            {"file_id": "file-1", "filename": "menü.pdf", "score": 0.75, "text": "Kaffee 4.50", "attributes": {"p": 1}}
        ],
    },
    "code_interpreter_call": lambda key: {
        "id": f"ci_{key}",
        "status": "completed",
        "code": "print('好')\nprint(6 * 7)",
        "container_id": "cntr_mock",
        "outputs": [{"type": "logs", "logs": "好\n42"}],
    },
    "image_generation_call": lambda key: {
        "id": f"ig_{key}",
        "status": "completed",
        "result": PIXEL,
        "revised_prompt": "ein Punkt",
        "output_format": "png",
        "size": "1024x1024",
        "quality": "low",
        "background": "opaque",
    },
    "computer_call": lambda key: {
        "id": f"cu_{key}",
        "call_id": f"call_cu_{key}",
        "status": "completed",
        "action": {"type": "click", "button": "left", "x": 12, "y": 34},
        "pending_safety_checks": [{"id": "cu_sc_1", "code": "malicious_instructions", "message": "Bitte prüfen"}],
    },
    "computer_call_output": lambda key: {
        "id": f"cuo_{key}",
        "call_id": f"call_cu_{key}",
        "status": "completed",
        "output": _SCREENSHOT,
    },
    "mcp_list_tools": lambda key: {"id": f"mcpl_{key}", "server_label": "dice", "tools": [_LISTED], "error": None},
    "mcp_call": lambda key: {
        "id": f"mcp_{key}",
        "server_label": "dice",
        "name": "roll",
        "arguments": '{"dice": "2d6 – zwei"}',
        "output": "7",
        "error": None,
        "approval_request_id": None,
        "status": "completed",
    },
    "mcp_approval_request": lambda key: {
        "id": f"mcpr_{key}",
        "server_label": "dice",
        "name": "roll",
        "arguments": '{"dice": "1d20"}',
    },
    "mcp_approval_response": lambda key: {
        "id": f"mcpa_{key}",
        "approval_request_id": f"mcpr_{key}",
        "approve": True,
        "reason": "Na gut",
    },
    "local_shell_call": lambda key: {
        "id": f"lsh_{key}",
        "call_id": f"call_lsh_{key}",
        "status": "completed",
        "action": {"type": "exec", "command": ["echo", "grüße"], "env": {"LANG": "C.UTF-8"}},
    },
    "local_shell_call_output": lambda key: {
        "id": f"lsho_{key}",
        "output": '{"stdout": "grüße"}',
        "status": "completed",
    },
    "shell_call": lambda key: {
        "id": f"sh_{key}",
        "call_id": f"call_sh_{key}",
        "status": "completed",
        "action": {"commands": ["ls -la /tmp", "echo 'grüße'"], "max_output_length": 4096, "timeout_ms": None},
        "environment": {"type": "local"},
    },
    "shell_call_output": lambda key: {
        "id": f"sho_{key}",
        "call_id": f"call_sh_{key}",
        "status": "completed",
        "max_output_length": 4096,
        "output": [_OUTPUT],
    },
    "apply_patch_call": lambda key: {
        "id": f"apc_{key}",
        "call_id": f"call_apc_{key}",
        "status": "completed",
        "operation": {"type": "update_file", "path": "café.py", "diff": "@@\n-a\n+ä\n"},
    },
    "apply_patch_call_output": lambda key: {
        "id": f"apco_{key}",
        "call_id": f"call_apc_{key}",
        "status": "completed",
        "output": "Done!",
    },
    "tool_search_call": lambda key: {
        "id": f"tsc_{key}",
        "call_id": None,
        "execution": "server",
        "status": "completed",
        "arguments": {"query": "nachschlagen"},
    },
    "tool_search_output": lambda key: {
        "id": f"tso_{key}",
        "call_id": None,
        "execution": "server",
        "status": "completed",
        "tools": [_TOOL],
    },
    "additional_tools": lambda key: {"id": f"at_{key}", "role": "developer", "tools": [_TOOL]},
    "program": lambda key: {
        "id": f"prg_{key}",
        "call_id": f"call_prg_{key}",
        "code": "return 6 * 7; // 好",
        "fingerprint": "fp_prg",
    },
    "program_output": lambda key: {
        "id": f"prgo_{key}",
        "call_id": f"call_prg_{key}",
        "result": "42",
        "status": "completed",
    },
    "compaction": lambda key: {"id": f"cmp_{key}", "encrypted_content": ENCRYPTED},
    "function_call_output": lambda key: {
        "id": f"fco_{key}",
        "call_id": f"call_fc_{key}",
        "output": "21 °C",
        "status": "completed",
    },
    "custom_tool_call_output": lambda key: {
        "id": f"ctco_{key}",
        "call_id": f"call_ctc_{key}",
        "output": [{"type": "input_text", "text": "grüße"}],
        "status": "completed",
    },
    "hologram_call": lambda key: {"id": f"hg_{key}", "status": "completed", "beam": {"ü": [1, {"好": None}]}},
}
_FAILED: dict[str, tuple[str, dict[str, Any]]] = {
    "mcp_call_failed": (
        "mcp_call",
        {
            "status": "failed",
            "output": None,
            "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no dice"}]},
        },
    ),
    "mcp_list_tools_failed": ("mcp_list_tools", {"tools": [], "error": "the server did not answer"}),
    "image_generation_call_failed": ("image_generation_call", {"status": "failed", "result": None}),
}

ALL = "all"
NAMES = (*_SAMPLES, *_FAILED)
"""What ``output=`` can name; ``hologram_call`` is of no type that openai knows."""

TOOLS: dict[str, tuple[str, ...]] = {
    "web_search": ("web_search_call",),
    "web_search_preview": ("web_search_call",),
    "file_search": ("file_search_call",),
    "code_interpreter": ("code_interpreter_call",),
    "image_generation": ("image_generation_call",),
    "computer": ("computer_call",),
    "computer_use_preview": ("computer_call",),
    "mcp": ("mcp_list_tools", "mcp_call"),
    "local_shell": ("local_shell_call",),
    "shell": ("shell_call",),
    "apply_patch": ("apply_patch_call",),
}
"""The items that calls of a tool that the API runs, or defines, leave in the output."""


def sample(name: str, key: str) -> dict[str, Any]:
    """Return the item that ``name`` of :data:`NAMES` stands for; ids are made of ``key``."""
    kind, failure = _FAILED.get(name, (name, {}))
    suffix = f"{key}f" if failure else key
    return {"type": kind, **_SAMPLES[kind](suffix), **failure}
