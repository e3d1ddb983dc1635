"""The words of a text are those that FTS5 finds, so that every store's search finds the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ainsights.server.events.words import folded, spaced

LETTERS = st.characters(max_codepoint=0x17F, categories=["L", "N", "P", "Z"])
CJK = st.characters(min_codepoint=0x3041, max_codepoint=0x9FA5, categories=["L", "P"])


def words_of_fts5(text: str) -> str:
    with closing(sqlite3.connect(":memory:")) as lite:
        lite.execute("CREATE VIRTUAL TABLE text USING fts5(x, tokenize='unicode61 remove_diacritics 2')")
        lite.execute("CREATE VIRTUAL TABLE words USING fts5vocab(text, instance)")
        lite.execute("INSERT INTO text VALUES (?)", (spaced(text).replace("\0", " "),))
        return " ".join(term for (term,) in lite.execute("SELECT term FROM words ORDER BY offset"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Café in ZÜRICH", "the cafe in zurich"),
        ("Cafe\u0301", "cafe"),
        ("don't, 14-1; a_b", "don t 14 1 a b"),
        ("退款abc", "退 款 abc"),
        ("サブスク", "サ ブ ス ク"),
        ("ยกเลิก", "ย ก เ ล ก"),
        ("취소", "취 소"),
        ("Ответ №5", "ответ 5"),
        ("\0 !?", ""),
    ],
)
def test_words_have_no_case_and_no_accents(text: str, words: str) -> None:
    assert folded(text) == words


@given(st.text(LETTERS | CJK | st.sampled_from(" '-_"), max_size=40))
def test_words_are_those_of_fts5(text: str) -> None:
    assert folded(text) == words_of_fts5(text)
