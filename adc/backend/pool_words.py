"""The state of the pool of workers: what stands at which 64-bit word of it.

In: nothing.  Out: places and sizes for the native code (`pool_code`), for its owner in Python (`pool`), and for the one in a built library.

Jobs are handed out by one word, `TICKET`: the number of the job above, a bit for each chunk that nobody has taken below (for
each of `BITS` groups of them, where there are more).  A chunk is taken by an exchange of that word, so a worker which comes
late can never take a chunk of a job that is over: its exchange fails.  Without bits nothing is there to be taken: so it is at
first, and while the caller writes the next job.

Thread w of T begins with the w-th T-th of the chunks, always: what one loop left in its cache is there for the next.  When
those are gone it takes the last that is left anywhere.

>>> word("count", COUNT).split(" = ")[1].startswith("getelementptr i64, ptr %s, i64 8")
True
"""

from __future__ import annotations

import signal

WORDS = 64
SIZE = WORDS + 16
"""64-bit words of the state."""
TICKET, COUNT, CHUNK, CONTEXT = 0, 8, 9, 10
DONE, ERROR, CODE = 16, 17, 18
"""Chunks that are done; the lowest that failed, and what it returned."""
MODE = 19
"""How the caller rounds, and whether denormals are zero: a job has the same bits on all workers."""
BUSY, LIMIT, MADE, LAZY = 24, 25, 26, 27
"""Somebody's job runs; how many threads there may be; workers made; may `run` make them?"""
SLEEPING, WAITING, GONE = 32, 33, 34
"""Workers that sleep; the caller sleeps; workers that have left."""
MUTEX, CONDITION = 40, 52
"""Room for a pthread_mutex_t and a pthread_cond_t of any system (at most 64 and 48 bytes)."""
BITS = 32
"""Groups of chunks at most, each taken as a whole."""
LEFT = (1 << BITS) - 1
MOST = 1024
"""Threads at most."""
LEAVE = -1
"""A limit that sends the workers away."""
NONE = 0x7FFFFFFFFFFFFFFF
"""No chunk has failed."""
SPINS = 2048
"""Looks for work before a thread sleeps, 30 to 100 µs."""
YIELD = 64
"""Looks between two offers of the processor to others, 1 to 4 µs."""

# everything that is sent from outside is for the threads of the interpreter; a fault is the worker's own
FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS")
BLOCKED = -1 ^ sum(1 << (int(getattr(signal, name)) - 1) for name in FAULTS if hasattr(signal, name))
SET_MASK = int(getattr(signal, "SIG_SETMASK", 2))


def word(name: str, place: int, kind: str = "i64") -> str:
    """The address and the value of a word of the state `%s`."""
    return f"""  %p{name} = getelementptr i64, ptr %s, i64 {place}
  %{name} = load atomic {kind}, ptr %p{name} seq_cst, align 8"""
