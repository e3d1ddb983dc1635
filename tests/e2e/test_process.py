from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import running_endpoint
from support.programs import MODEL, run, settings

if TYPE_CHECKING:
    from pathlib import Path

INSTRUMENT = "import ainsights; ainsights.instrument()\n"
BUSY_ENDPOINT_SECONDS = 0.3


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver(method: str, tmp_path: Path) -> None:
    program = f"""
    import multiprocessing, sys
    sys.path.insert(0, {str(tmp_path)!r})
    import child
    if __name__ == "__main__":
        import ainsights
        ainsights.instrument()
        call(user="parent")
        context = multiprocessing.get_context({method!r})
        children = [context.Process(target=child.work, args=(number,)) for number in range(3)]
        for each in children: each.start()
        for each in children: each.join()
        print([each.exitcode for each in children])
    """
    lines = (
        MODEL
        + "def work(number):\n    import ainsights\n    ainsights.instrument()\n    call(user=f'child {number}')\n"
    )
    (tmp_path / "child.py").write_text(lines)
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert (ran.status, ran.out, ran.err) == (0, "[0, 0, 0]\n", "")
        assert sorted(body["user_id"] for body in endpoint.stored) == ["child 0", "child 1", "child 2", "parent"]


def test_process_pool_delivers() -> None:
    program = """
    def call_user(number):
        call(user=str(number))
    import ainsights
    ainsights.instrument()
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        print(sum(1 for _ in pool.map(call_user, range(10))))
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert (ran.status, ran.out) == (0, "10\n")
        assert sorted(body["user_id"] for body in endpoint.stored) == [str(number) for number in range(10)]


def test_fork_from_a_thread_delivers() -> None:
    program = """
    import os, threading, ainsights
    ainsights.instrument()
    def fork():
        if os.fork():
            os.wait()
        else:
            call(user="child")
            ainsights.shutdown()
            os._exit(0)
    call(user="parent")
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert ran.status == 0
        assert sorted(body["user_id"] for body in endpoint.stored) == ["child", "parent"]


def test_fork_while_a_request_is_under_way_delivers_once() -> None:
    program = """
    import os, time, ainsights
    ainsights.instrument()
    call(user="parent")
    while not ainsights.stats().in_flight:
        time.sleep(0.001)
    if os.fork():
        os.wait()
    else:
        call(user="child")
    """

    def slow(handler: object) -> bool:
        endpoint.released.wait(BUSY_ENDPOINT_SECONDS)
        return bool(handler.answer(200))  # type: ignore[attr-defined]

    with running_endpoint(slow) as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert ran.status == 0
        assert sorted(body["user_id"] for body in endpoint.stored) == ["child", "parent"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="older Pythons do not warn")
def test_fork_does_not_warn_about_our_thread() -> None:
    program = """
    import os, warnings
    warnings.simplefilter("error")
    import ainsights
    ainsights.instrument()
    call()
    assert ainsights.flush(10)
    if os.fork():
        os.wait()
    """
    with running_endpoint() as endpoint:
        assert run(program, **settings(endpoint.url)).err == ""


def test_sigterm_delivers_if_asked_to_and_ends_as_before() -> None:
    program = (
        INSTRUMENT + "import os, signal; call(); os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(30)"
    )
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url, handle_sigterm="1"))
        assert ran.status == -signal.SIGTERM
        assert len(endpoint.stored) == 1


def test_sigterm_is_passed_to_the_previous_handler() -> None:
    program = """
    import os, signal, sys
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
    import ainsights
    ainsights.instrument()
    ainsights.instrument()
    call()
    os.kill(os.getpid(), signal.SIGTERM)
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url, handle_sigterm="1"))
        assert ran.status == 3
        assert len(endpoint.stored) == 1


def test_sigterm_that_ends_the_process_reports_what_is_not_at_its_end() -> None:
    pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")
    program = """
    import json, os, signal, time
    import ainsights, openai
    ainsights.instrument()
    queued = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "queued", "output": []}
    def create(request):
        if json.loads(request.content).get("stream"):
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=iter([b"data: {}"]))
        return http.Response(200, json=queued | {"background": True})
    api = openai.OpenAI(api_key="k", http_client=http.Client(transport=http.MockTransport(create)))
    api.responses.create(model="m", input="hi", background=True)
    stream = api.responses.create(model="m", input="hi", stream=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
    """
    refused: list[bytes] = []

    def answer(handler: Any) -> bool:
        if b'"abandoned"' not in handler.body or refused:
            return bool(handler.answer(200))
        refused.append(handler.body)  # the other event is delivered meanwhile
        return bool(handler.answer(503))

    with running_endpoint(answer) as endpoint:
        ran = run(program, **settings(endpoint.url, handle_sigterm="1"))
        assert ran.status == -signal.SIGTERM
        assert sorted(body["meta"]["ainsights.status"] for body in endpoint.stored) == ["abandoned", "unread"]


def test_sigterm_of_a_hanging_endpoint_ends_within_its_time() -> None:
    program = (
        INSTRUMENT + "import os, signal; call(); os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(60)"
    )
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        ran = run(program, **settings(endpoint.url, handle_sigterm="1", exit_timeout="1"), timeout=30)
        assert ran.status == -signal.SIGTERM


def test_keyboard_interrupt_delivers() -> None:
    program = INSTRUMENT + "import os, signal; call(); os.kill(os.getpid(), signal.SIGINT)"
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert ran.err.endswith("KeyboardInterrupt\n")
        assert len(endpoint.stored) == 1


def test_exit_while_retrying_makes_one_more_attempt_and_reports_what_is_lost() -> None:
    with running_endpoint(lambda handler: handler.answer(503)) as endpoint:
        program = INSTRUMENT + "call()\nwhile not ainsights.stats().retried: pass"
        ran = run(program, **settings(endpoint.url, exit_timeout="2"))
        assert ran.status == 0
        assert endpoint.requests >= 2
        assert "1 event lost at shutdown: " in ran.err


def test_calls_of_many_threads_are_all_delivered() -> None:
    program = """
    import threading, ainsights
    ainsights.instrument()
    it = client()
    def work(number):
        for step in range(20):
            it.chat.completions.create(model="m", messages=MESSAGES, user=f"{number}-{step}")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for each in threads: each.start()
    for each in threads: each.join()
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert (ran.status, ran.err) == (0, "")
        assert len({body["user_id"] for body in endpoint.stored}) == len(endpoint.stored) == 200


def test_first_call_loads_nothing_of_delivery_on_the_callers_thread() -> None:
    program = """
    import sys, threading, ainsights
    loaded_on = {}
    def hear(event, arguments):
        if event == "import" and arguments[0].startswith("ainsights."):
            loaded_on.setdefault(threading.current_thread(), []).append(arguments[0])
    ainsights.instrument()
    sys.addaudithook(hear)
    call()
    assert ainsights.flush(20)
    print(loaded_on.get(threading.main_thread(), []), "ainsights._delivery.pipeline" in sum(loaded_on.values(), []))
    """
    with running_endpoint() as endpoint:
        assert run(program, **settings(endpoint.url)).out == "[] True\n"


RANDOM = """
import random
random.seed(1)
for _ in range(20):
    call()
retries()
print([random.random() for _ in range(3)])
"""


def test_random_numbers_of_a_seeded_program_are_its_own() -> None:
    retries = "def retries():\n    while ainsights.stats().retried < 2:\n        pass\n"
    bare = run("def retries():\n    pass\n" + RANDOM)
    with running_endpoint(lambda handler: handler.answer(500)) as endpoint:
        ran = run(INSTRUMENT + retries + RANDOM, **settings(endpoint.url, sample_rate="0.5", exit_timeout="0"))
    assert ran.out == bare.out


def test_forks_sample_each_by_numbers_of_its_own() -> None:
    program = """
    import os, ainsights
    ainsights.instrument()
    for name in "ab":
        if not os.fork():
            for number in range(64):
                call(user=f"{name}{number}")
            raise SystemExit
        os.wait()
    """
    with running_endpoint() as endpoint:
        assert run(program, **settings(endpoint.url, sample_rate="0.5")).status == 0
        sampled = {
            name: {body["user_id"][1:] for body in endpoint.stored if body["user_id"][0] == name} for name in "ab"
        }
    assert sampled["a"] != sampled["b"]


def test_fork_while_a_line_is_logged_logs_again_in_the_child() -> None:
    program = """
    import os, sys, threading, time, ainsights
    ainsights.instrument()
    inside, resumed, clock = threading.Event(), threading.Event(), time.monotonic

    def stopped_inside():
        if threading.current_thread() is logging and sys._getframe(1).f_globals["__name__"] == "ainsights._logging":
            inside.set()
            resumed.wait()
        return clock()

    def log():
        ainsights.instrument(handle_sigterm=True)  # logs that it has to be on the main thread

    logging = threading.Thread(target=log)
    time.monotonic = stopped_inside
    logging.start()
    inside.wait()
    if not os.fork():
        other = threading.Thread(target=log)
        other.start()
        other.join()
        os._exit(0)
    os.wait()
    resumed.set()
    logging.join()
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert ran.status == 0
        assert ran.err.count("AINSIGHTS_HANDLE_SIGTERM needs instrument()") == 2
