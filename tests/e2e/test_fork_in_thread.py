from __future__ import annotations

import pytest
from support.endpoints import Handler, running_endpoint
from support.programs import run, settings

FORK_IN_THREAD = """
    import ainsights, os, sys, threading, warnings
    warnings.simplefilter("ignore")  # Python 3.12 and later warn of a fork with several threads
    ainsights.instrument()

    def fork():
        child = os.fork()
        if child == 0:
            call()
            sys.exit()
        print(os.waitpid(child, 0)[1])

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""
"""The child of a thread's fork ends with its last thread: the interpreter calls no exit handlers there."""


def test_child_that_a_thread_forked_delivers_and_ends() -> None:
    with running_endpoint() as endpoint:
        ran = run(FORK_IN_THREAD, **settings(endpoint.url))
        assert (ran.status, ran.out, ran.err) == (0, "0\n", "")
        assert len(endpoint.stored) == 1


def test_child_that_a_thread_forked_waits_for_a_hanging_endpoint_no_longer_than_allowed() -> None:
    with running_endpoint(Handler.hang) as endpoint:
        ran = run(FORK_IN_THREAD, **settings(endpoint.url, exit_timeout="0.5", timeout="600"))
        assert (ran.out, ran.err) == ("0\n", "1 event lost at shutdown: time ran out\n")


@pytest.mark.parametrize("end", ["sys.exit(7)", "os._exit(7)"])
def test_process_of_multiprocessing_that_a_thread_started_keeps_its_status(end: str) -> None:
    program = f"""
        import ainsights, multiprocessing, os, sys, threading, warnings
        warnings.simplefilter('ignore')
        ainsights.instrument()

        def work():
            call()
            ainsights.flush(10)
            {end}

        def start():
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            print(process.exitcode)

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
    """
    with running_endpoint() as endpoint:
        ran = run(program, **settings(endpoint.url))
        assert (ran.out, ran.err) == ("7\n", "")
        assert len(endpoint.stored) == 1
