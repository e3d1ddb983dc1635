from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.polling import wait_until
from support.serving import KEY, Client, insight

from ainsights import _cli
from ainsights.errors import ConfigurationError
from ainsights.server import Endpoint, Options
from ainsights.server.keys import Authorization, KeyFile, Role
from ainsights.server.keys.authorization import MAX_WRONG
from ainsights.server.problems import Problem
from ainsights.server.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """The keys are in a file here; in ClickHouse, they are in a table."""
    return Options(tmp_path / "insights.db", api_key=KEY)


def add(endpoint: Endpoint, *arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Add a key as an operator does; return it."""
    assert _cli.main(["serve", "keys", "add", *arguments, "--db", str(endpoint.database)]) == 0
    return capsys.readouterr().out.split()[-1]


def statuses(endpoint: Endpoint, key: str) -> tuple[int, int, int]:
    """Return the answers to a put, a list and one event."""
    with Client(Endpoint(endpoint.url, key, endpoint.database)) as client:
        return (
            client.put(insight("e")).status,
            client.ask("GET", "/insights").status,
            client.ask("GET", "/insights/e").status,
        )


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((), (200, 403, 403)),
        (("--role", "write"), (200, 403, 403)),
        (("--role", "read"), (403, 200, 200)),
        (("--role", "admin"), (403, 200, 200)),
        (("--role", "write", "--role", "read"), (200, 200, 200)),
    ],
)
def test_key_allows_what_its_roles_grant(
    endpoint: Endpoint, capsys: pytest.CaptureFixture[str], roles: tuple[str, ...], expected: tuple[int, int, int]
) -> None:
    assert statuses(endpoint, KEY) == (200, 200, 200)

    assert statuses(endpoint, add(endpoint, "new", *roles, capsys=capsys)) == expected


def test_key_is_rotated_without_a_restart(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    old = add(endpoint, "old", capsys=capsys)
    new = add(endpoint, "new", capsys=capsys)
    assert statuses(endpoint, old)[0] == statuses(endpoint, new)[0] == 200

    assert _cli.main(["serve", "--db", str(endpoint.database), "keys", "revoke", "old"]) == 0
    assert (statuses(endpoint, old)[0], statuses(endpoint, new)[0]) == (401, 200)


def test_keys_are_listed_without_their_secrets(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    key = add(endpoint, "ann", "--role", "read", "--role", "write", capsys=capsys)
    _cli.main(["serve", "keys", "list", "--db", str(endpoint.database)])

    listed = capsys.readouterr().out
    assert listed.startswith("ann  read,write  20")
    assert key not in listed
    assert not any(key.encode() in path.read_bytes() for path in endpoint.database.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "-x", "é", "../x"])
def test_wrong_key_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="key name"):
        KeyFile(tmp_path / "insights.db").add(name, [Role.READ])


def test_name_is_used_for_one_key(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "insights.db")
    keys.add("ann", [Role.READ])

    with pytest.raises(ConfigurationError, match="'ann': is taken"):
        keys.add("ann", [Role.READ])


def test_keys_that_are_added_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    database = tmp_path / "insights.db"
    names = {f"key-{number}" for number in range(30)}
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda name: KeyFile(database).add(name, [Role.READ]), names))

    assert {key.name for key in KeyFile(database).read()} == names
    assert len(set(made)) == len(names)


def test_revoking_an_unknown_key_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["serve", "keys", "revoke", "ann", "--db", str(tmp_path / "insights.db")]) == 2
    assert capsys.readouterr().err == "ainsights serve keys: no key is called 'ann'\n"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": [{"name": "x"}]}', "\0"])
def test_damaged_key_file_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    keys = KeyFile(tmp_path / "insights.db")
    keys.path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"insights\.db\.keys: damaged"):
        keys.read()


def test_plaintext_key_of_an_earlier_version_keeps_working_as_a_hash(tmp_path: Path) -> None:
    former = tmp_path / "insights.db.key"
    former.write_text("ainsights_former\n")
    former.chmod(0o600)
    keys = KeyFile(tmp_path / "insights.db")

    assert keys.first() is None
    assert Authorization(keys, None).check(b"Bearer ainsights_former", "a", Role.WRITE).name == "default"
    assert not former.exists()
    assert "ainsights_former" not in keys.path.read_text()


def test_wrong_keys_of_one_address_are_limited_and_good_ones_are_not(endpoint: Endpoint) -> None:
    assert statuses(endpoint, KEY)[0] == 200
    answers = [statuses(endpoint, f"guess {n}")[0] for n in range(MAX_WRONG)]

    assert answers.count(429) > 0
    assert set(answers) == {401, 429}
    assert statuses(endpoint, KEY)[0] == 200


def test_good_key_that_was_not_used_yet_is_not_found_by_guessing() -> None:
    now = [0.0]
    authorization = Authorization(None, "secret", lambda: now[0])
    for n in range(MAX_WRONG):
        with pytest.raises(Problem, match="wrong"):
            authorization.check(b"Bearer %d" % n, "attacker", Role.READ)

    with pytest.raises(Problem) as refused:
        authorization.check(b"Bearer secret", "attacker", Role.READ)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "61")
    assert authorization.check(b"Bearer secret", "somebody else", Role.READ)
    now[0] = 61.0
    assert authorization.check(b"Bearer secret", "attacker", Role.READ)


def test_reads_are_in_the_access_log(endpoint: Endpoint) -> None:
    with Client(endpoint) as client:
        client.put(insight("e"))
        client.ask("GET", "/insights?model=gpt")
        client.ask("GET", "/insights/e")

    def logged() -> list[tuple[str, str, str]]:
        with Reader(endpoint.database).connection() as connection:
            return connection.execute("SELECT key_name, action, detail FROM access ORDER BY number").fetchall()

    wait_until(lambda: len(logged()) == 2)
    assert logged() == [("environment", "GET /insights", "model=gpt"), ("environment", "GET /insights/e", "")]


def test_key_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "insights.db")
    keys.add("ann", [Role.READ])

    assert {path.name for path in tmp_path.iterdir()} == {"insights.db.keys", "insights.db.keys.lock"}
    assert json.loads(keys.path.read_text())["version"] == 1
