"""Work shared out over threads: all of it done, once, and never waiting for itself."""

import subprocess
import sys
import threading

import pytest

from metacart.inference import threads

MANY = 1_000_000


@pytest.fixture
def four(monkeypatch):
    """Four processors, and a pool of its own."""
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    threads._pool.cache_clear()
    yield
    threads._pool().shutdown()
    threads._pool.cache_clear()


def test_each_part_is_done_once(four):
    done, names = [], set()

    def work(part: slice) -> None:
        names.add(threading.current_thread().name)
        done.extend(range(100)[part])

    threads.on_threads(work, threads.slices(100, 7), worth=MANY)
    assert sorted(done) == list(range(100))
    assert all(name.startswith("metacart") for name in names)


def test_what_is_worth_little_stays_in_its_thread(four):
    names = []
    threads.on_threads(
        lambda _: names.append(threading.current_thread().name), [1, 2, 3], worth=19_999
    )
    assert set(names) == {threading.current_thread().name}
    assert len(names) == 3


def test_a_failure_is_told(four):
    def work(part: int) -> None:
        if part == 5:
            raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        threads.on_threads(work, range(9), worth=MANY)


NESTED = """
from metacart.inference import threads

threads.os.cpu_count = lambda: 2
done = []

def inner(part):
    done.append(part)

def outer(part):
    threads.on_threads(inner, [(part, k) for k in range(3)], worth=1_000_000)

threads.on_threads(outer, range(4), worth=1_000_000)
assert sorted(done) == [(part, k) for part in range(4) for k in range(3)], done
"""


def test_work_on_a_thread_that_shares_out_work_does_not_wait_for_itself():
    # both threads of the pool would wait for work that no thread is left to do
    run = subprocess.run(
        [sys.executable, "-c", NESTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
