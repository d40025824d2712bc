"""Waiting for a condition.

    wait_for(lambda: query.count(loki) == 1000, timeout=30, what="1000 lines in Loki")

The condition is called until it returns something true, which is returned. An exception of the kinds a peer raises
while it starts or is away (OSError, HTTP errors, invalid JSON) counts as "not yet"; AssertionError and the rest pass through.
Give the condition a function that returns the value seen, and `until` to judge it, to have the last value in the message:

    wait_for(lambda: query.count(loki), until=lambda n: n == 1000, timeout=30, what="1000 lines in Loki")
"""

import http.client
import time


class Timeout(AssertionError):
    """The condition did not come true in time."""


def wait_for(condition, timeout, what, until=bool, pause=0.1, give_up=None):
    """Returns the first value of condition() that satisfies until(); raises Timeout after `timeout` seconds.

    `give_up`, if given, is called in each round and raises when waiting on is pointless (a process that died)."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if until(last):
                return last
        except (OSError, ValueError, http.client.HTTPException) as e:
            last = e
        if give_up:
            give_up()
        if time.monotonic() >= deadline:
            raise Timeout(f"not within {timeout} s: {what}; last seen: {last!r:.2000}")
        time.sleep(pause)
