from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ainsights._privacy.patterns import PATTERNS, api_key, credit_card, email, ip, phone
from ainsights._privacy.slices import SLICE, search
from ainsights._validation import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address, IPv6Address

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"

EMAILS = ["ann@example.com", "ann.b+tag@mail.example.co.uk", "jürgen@müller.de", "a_b-c%d@x-y.io", "ann@10.0.0.1"]
PHONES = [
    "+49 151 2345 6789",
    "+1 (212) 555-0100",
    "+33.1.23.45.67.89",
    "004915123456789",
    "(030) 1234567",
    "0151/23456789",
    "020 7946 0958",
    "06 12 34 56 78",
    "212-555-0100",
    "212.555.0100",
    "(212) 555-0100",
    "1-800-555-0199",
    "2125550100",
]
CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "378282246310005",
    "3782 822463 10005",
    "30569309025904",
    "6304000000000000000",
]
KEYS = [
    "sk-1234567890abcdefABCDEF",
    "sk-proj-Ab1_cdefghijklmnop-QRSTUV",
    "sk-ant-api03-abcdefghij0123456789",
    "sk-12345*************6789",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0123456789_abcdefghijkl",
    "glpat-20chars-abcdefghijkl",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwxyz",
    JWT,
    PEM,
]
IPS = ["10.0.0.1", "192.168.100.200", "::1", "fe80::1", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "::ffff:10.0.0.1"]

FOUND = {email: EMAILS, phone: PHONES, credit_card: CARDS, api_key: KEYS, ip: IPS}
AROUND = ["{}", "see {} there", '"{}"', "({})", "is:\n{}\n", "a,{},b", "<{}>", "{}.", "é{}é"]

LEFT = {
    email: ["a@b", "@ann", "ann@", "git @ example.com", "@dataclass.field", ""],
    phone: [
        "2024-01-02 12:30:45",
        "01.02.2024 12:30",
        "1700000000",
        "1700000000000",
        "0.0123456789012",
        "3.14159265358979",
        "order 12345",
        "deadbeef0123456789ab",
        "4 + 2345678",
    ],
    credit_card: [
        "4111111111111112",
        "1234567890123",
        "0000 0000 0000 0000",
        "41111111111111111111111",
        "0.4111111111111111",
    ],
    api_key: [
        "task-20240101abcd",
        "sk-learn-estimators",
        "through the night",
        "a bearer of news",
        "bearer authentication",
        "api_key: Optional[str]",
        "the key is here",
        "max_tokens: 1000000",
    ],
    ip: ["1.2.3", "1.2.3.4.5", "300.1.1.1", "v1.2.3.4", "12:30:45", "std::vector", "a: b: c", "::", "x = y[::-1]"],
}


@pytest.mark.parametrize(
    ("function", "secret", "around"),
    [
        (function, secret, around)
        for function, secrets in FOUND.items()
        for secret in secrets
        for around in AROUND
        if function is not email or around != "é{}é"  # letters belong to addresses
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_secret_is_found_whatever_is_around_it(function, secret: str, around: str) -> None:  # noqa: ANN001
    assert function(around.format(secret)) == around.format(f"[{function.__name__}]")


@pytest.mark.parametrize(
    ("function", "text"),
    [(function, text) for function, texts in LEFT.items() for text in texts],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_other_text_is_left_alone(function, text: str) -> None:  # noqa: ANN001
    assert function(text) == text


@pytest.mark.parametrize(
    ("function", "text", "redacted"),
    [
        (email, "ann@x.com,bob@y.com;", "[email],[email];"),
        (email, "https://ann:pass@host.example/x", "https://ann:[email]/x"),
        (credit_card, "12 4111 1111 1111 1111 123", "12 [credit_card] 123"),
        (credit_card, "1234 4111 1111 1111 1111", "1234 [credit_card]"),
        (credit_card, "4111 1111 1111 1111, 5500-0000-0000-0004", "[credit_card], [credit_card]"),
        (phone, "call 212-555-0100x12 or +49 151 2345678.", "call [phone]x12 or [phone]."),
        (ip, "http://10.0.0.1:80/ and [fe80::1%eth0]:80", "http://[ip]:80/ and [[ip]%eth0]:80"),
        (ip, "addr:fe80::1, the:fe80::2", "addr:[ip], the:[ip]"),
        (api_key, "Incorrect API key provided: pretend. See", "Incorrect API key provided: [api_key] See"),
        (api_key, '{"api_key": "0123abcd0123"}', '{"api_key": "[api_key]"}'),
        (api_key, "AZURE_OPENAI_API_KEY=0123456789abcdef", "AZURE_OPENAI_API_KEY=[api_key]"),
        (api_key, "Authorization: Bearer abc.def-123", "Authorization: Bearer [api_key]"),
        (api_key, "İ bearer ABCDEF123456 End", "İ bearer [api_key] End"),
        (api_key, "authorization: Basic dXNlcjpwYXNz1", "authorization: Basic [api_key]"),
        (api_key, "-----BEGIN PRIVATE KEY-----\nMIIE", "[api_key]"),
    ],
)
def test_only_the_secret_is_replaced(function, text: str, redacted: str) -> None:  # noqa: ANN001
    assert function(text) == redacted


@settings(deadline=None)
@given(st.integers(10**12, 10**18 - 1))
def test_number_with_right_checksum_is_a_card_and_its_neighbours_are_not(number: int) -> None:
    numbers = [f"{number}{last}" for last in range(10)]
    assert sum(credit_card(each) == "[credit_card]" for each in numbers) == 1


@settings(deadline=None)
@given(st.ip_addresses())
def test_every_address_is_found(address: IPv4Address | IPv6Address) -> None:
    if int(address):
        assert ip(f"from {address} to") == "from [ip] to"


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_every_address_is_found_when_written_out(address: IPv6Address) -> None:
    assert ip(f"({address.exploded.upper()})") == "([ip])"


@settings(deadline=None)
@given(st.text())
def test_text_is_redacted_no_further_the_second_time(text: str) -> None:
    for function in PATTERNS.values():
        assert function(function(text)) == function(text)


def test_settings_take_the_names_of_all_patterns() -> None:
    assert tuple(PATTERNS) == BUILT_IN


REPEATED = [
    *("a", "1", "0", ":", "(", "@", "a@", "a.b@", "@a.", "é@", "1 ", "0 ", "+1 ", "+1", "1.", "a:", "::1:", "f:"),
    *("1111 ", "4111 1111 1111 1112 ", "sk-", "sk-a-", "eyJ", "eyJaaaaaaaaa.", "key ", "key:", "api_key = ", "bearer "),
    *("api_key:aaaa", "authorization:", "-----BEGIN PRIVATE KEY-----", "SG.", "xox", "ghp_", "İkey"),
]


def seconds(function: Callable[[str], str], text: str) -> float:
    start = time.thread_time()
    function(text)
    return time.thread_time() - start


@pytest.mark.parametrize("unit", REPEATED)
def test_time_is_in_proportion_to_the_text(unit: str) -> None:
    text = (unit * (2**18 // len(unit) + 1))[: 2**18]
    for function in PATTERNS.values():
        short = min(seconds(function, text[: 2**15]) for _ in range(2))
        assert seconds(function, text) < 24 * short + 0.05  # 8 times in proportion, 64 times if it grew with the square


AT_A_SEAM = [(function, secrets[0]) for function, secrets in FOUND.items()] + [(api_key, JWT), (api_key, PEM)]


@pytest.mark.parametrize(("function", "secret"), AT_A_SEAM, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("filler", ["words ", "a-b.c "])
def test_secret_is_found_wherever_a_slice_ends(function, secret: str, filler: str) -> None:  # noqa: ANN001
    for position in range(SLICE - len(secret) - 2, SLICE + 3):
        before, after = (filler * SLICE)[:position] + " ", " " + filler * 2 * SLICE
        redacted = function(before + secret + after)
        assert (redacted[: len(before)], redacted[-len(after) :]) == (before, after)
        assert redacted[len(before) : -len(after)] == f"[{function.__name__}]"


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-" + "a1" * 3 * SLICE, f"eyJ{'a' * 90_000}.{'b' * 90_000}.{'c' * 90_000}", PEM.replace("M", "M" * 90_000)],
)
def test_key_that_is_longer_than_a_slice_is_found_whole(secret: str) -> None:
    assert api_key(f"see {secret} there") == "see [api_key] there"


@given(st.text("ab1@.- ", max_size=60), st.integers(0, 60))
def test_search_in_slices_finds_what_one_search_finds(text: str, start: int) -> None:
    pattern, long = re.compile("(?<=a)b{1,3}1"), "x" * (SLICE - 30) + text
    found, whole = search(pattern, long, start, 4), pattern.search(long, start)
    assert (found and found.span()) == (whole and whole.span())


@pytest.mark.parametrize("unit", ["sk-sk-", "+1", "eyJ", "a@", "1 "])
def test_redaction_of_megabytes_lets_other_threads_run(unit: str) -> None:
    text = unit * (4_000_000 // len(unit))
    took: list[float] = []
    worker = threading.Thread(target=lambda: took.extend(seconds(function, text) for function in PATTERNS.values()))
    turns = 0
    worker.start()
    while worker.is_alive():
        worker.join(0.001)
        turns += 1
    assert turns > sum(took) / 0.05  # a tenth of what the switch interval allows; one search in one piece has one turn
