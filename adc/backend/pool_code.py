"""The native code of the pool of workers, in LLVM's language.

In: the name of a machine (`platform.machine()`).  Out: `text(machine)`, which exports

    int64 adc_pool_run(chunk, context, count)      the chunks of a loop on all workers: see adc/backend/pool.py
    void *adc_pool_worker(arg)                     what a worker does; `arg`: the state and the worker's number
    void *adc_pool_state                           the state: 64-bit words at the places that `pool_words` gives
    int64 adc_pool_flush(int64 on)                      denormals are zero in the calling thread, or not; what they were

Workers round as the caller of a job does, and treat denormals alike: results do not depend on who does a chunk.

The owner of the pool writes zeros into the state, initialises `MUTEX` and `CONDITION`, and writes
`LIMIT` = how many threads there may be and `LAZY` = 1 (or starts the workers by itself): then `run` may be called.
`LIMIT = LEAVE` and a broadcast end the workers.  In a forked child the owner begins again.

Who waits spins for some ten microseconds, giving the processor to others now and then, and sleeps on a condition
after that.  All words that several threads use are read and written in one order (`seq_cst`): "I sleep" is written before
the last look for work, and work is published before the look for sleepers, so one of the two sees the other.

>>> "call void @llvm.x86.sse2.pause()" in text("x86_64")
True
"""

from __future__ import annotations

from adc.backend.pool_words import (
    BITS,
    BLOCKED,
    BUSY,
    CHUNK,
    CODE,
    CONDITION,
    CONTEXT,
    COUNT,
    DONE,
    ERROR,
    GONE,
    LAZY,
    LEAVE,
    LEFT,
    LIMIT,
    MADE,
    MODE,
    MOST,
    MUTEX,
    NONE,
    SET_MASK,
    SIZE,
    SLEEPING,
    SPINS,
    WAITING,
    YIELD,
    word,
)
from adc.backend.processors import MACHINES, Machine

TEXT = f"""
@memory = internal global [{SIZE} x i64] zeroinitializer, align 128
@adc_pool_state = global ptr @memory
@arguments = internal global [{2 * MOST} x i64] zeroinitializer

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_yield()
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.cttz.i64(i64, i1)
declare i64 @llvm.ctlz.i64(i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)

; one turn of waiting
define internal void @rest(i64 %turn) {{
  PAUSE
  %part = and i64 %turn, {YIELD - 1}
  %long = icmp eq i64 %part, {YIELD - 1}
  br i1 %long, label %give, label %out
give:
  %given = call i32 @sched_yield()
  br label %out
out:
  ret void
}}

; wake every thread that sleeps here
define internal void @wake_all(ptr %s) {{
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %told = call i32 @pthread_cond_broadcast(ptr %condition)
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}}

; ---------------------------------------------------------------- chunks

; the chunk with the lowest number that fails is the one that counts
define internal void @failed(ptr %s, i64 %k, i64 %code) {{
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
{word("error", ERROR)}
  %first = icmp slt i64 %k, %error
  br i1 %first, label %mine, label %out
mine:
  %pcode = getelementptr i64, ptr %s, i64 {CODE}
  store atomic i64 %code, ptr %pcode seq_cst, align 8
  store atomic i64 %k, ptr %perror seq_cst, align 8
  br label %out
out:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}}

; compute as the caller does
define internal void @take_mode(ptr %s) {{
{word("m", MODE)}
  %own = call i64 @mode()
  %same = icmp eq i64 %own, %m
  br i1 %same, label %out, label %other
other:
  call void @set_mode(i64 %m)
  br label %out
out:
  ret void
}}

; make denormals zero in the calling thread, or not; what it did before
define i64 @adc_pool_flush(i64 %on) {{
  %m = call i64 @mode()
  %bits = and i64 %m, FLUSH
  %before = icmp ne i64 %bits, 0
  %with = or i64 %m, FLUSH
  %without = xor i64 %with, FLUSH
  %yes = icmp ne i64 %on, 0
  %new = select i1 %yes, i64 %with, i64 %without
  call void @set_mode(i64 %new)
  %was = zext i1 %before to i64
  ret i64 %was
}}

; the groups that a thread begins with, of `n`
define internal i64 @home(ptr %s, i64 %worker, i64 %n) {{
{word("limit", LIMIT)}
  %threads = call i64 @llvm.smax.i64(i64 %limit, i64 1)
  %w = urem i64 %worker, %threads
  %w1 = add i64 %w, 1
  %a = mul i64 %w, %n
  %b = mul i64 %w1, %n
  %first = udiv i64 %a, %threads
  %last = udiv i64 %b, %threads
  %below = shl i64 1, %first
  %above = shl i64 1, %last
  %own = sub i64 %above, %below
  ret i64 %own
}}

; do chunks until none is left
define internal void @take(ptr %s, i64 %worker) {{
entry:
  %pdone = getelementptr i64, ptr %s, i64 {DONE}
  br label %again
again:
  %t = load atomic i64, ptr %s seq_cst, align 8
  %free = and i64 %t, {LEFT}
{word("count", COUNT)}
{word("chunk", CHUNK, "ptr")}
{word("context", CONTEXT, "ptr")}
  %left = icmp ne i64 %free, 0
  br i1 %left, label %try, label %out
try:
  %n = call i64 @llvm.smin.i64(i64 %count, i64 {BITS})
  %home = call i64 @home(ptr %s, i64 %worker, i64 %n)
  %own = and i64 %free, %home
  %stay = icmp ne i64 %own, 0
  %low = call i64 @llvm.cttz.i64(i64 %own, i1 false)
  %zeros = call i64 @llvm.ctlz.i64(i64 %free, i1 false)
  %high = sub i64 63, %zeros
  %k = select i1 %stay, i64 %low, i64 %high
  %one = shl i64 1, %k
  %next = xor i64 %t, %one
  %pair = cmpxchg ptr %s, i64 %t, i64 %next seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %have, label %again
have:
  call void @take_mode(ptr %s)
  %k1 = add i64 %k, 1
  %a = mul i64 %k, %count
  %b = mul i64 %k1, %count
  %begin = udiv i64 %a, %n
  %end = udiv i64 %b, %n
  br label %turn
turn:
  %c = phi i64 [ %begin, %have ], [ %c1, %on ]
  %c1 = add i64 %c, 1
  ; what comes after a failure is not needed any more
{word("error", ERROR)}
  %needed = icmp slt i64 %c, %error
  br i1 %needed, label %do, label %on
do:
  %code = call i64 %chunk(ptr %context, i64 %c, i64 %c1, i64 %worker)
  %bad = icmp ne i64 %code, 0
  br i1 %bad, label %ill, label %on
ill:
  call void @failed(ptr %s, i64 %c, i64 %code)
  br label %on
on:
  %more = icmp slt i64 %c1, %end
  br i1 %more, label %turn, label %done
done:
  ; from here on the job may be over, and the state another's
  %size = sub i64 %end, %begin
  %before = atomicrmw add ptr %pdone, i64 %size seq_cst
  %sum = add i64 %before, %size
  %all = icmp eq i64 %sum, %count
  br i1 %all, label %last, label %again
last:
{word("waiting", WAITING)}
  %tell = icmp ne i64 %waiting, 0
  br i1 %tell, label %wake, label %again
wake:
  call void @wake_all(ptr %s)
  br label %again
out:
  ret void
}}

; ---------------------------------------------------------------- workers

; what is there for this worker: 0 nothing, 1 chunks, 2 it should leave
define internal i64 @look(ptr %s, i64 %worker) {{
  %t = load atomic i64, ptr %s seq_cst, align 8
  %free = and i64 %t, {LEFT}
  %left = icmp ne i64 %free, 0
{word("limit", LIMIT)}
  %wanted = icmp slt i64 %worker, %limit
  %yes = and i1 %left, %wanted
  %some = zext i1 %yes to i64
  %over = icmp eq i64 %limit, {LEAVE}
  %what = select i1 %over, i64 2, i64 %some
  ret i64 %what
}}

; what a worker does all its life; `arg` holds the state and the worker's number, from 0
define ptr @adc_pool_worker(ptr %arg) {{
entry:
  %s = load ptr, ptr %arg
  %pnumber = getelementptr i64, ptr %arg, i64 1
  %number = load i64, ptr %pnumber
  %worker = add i64 %number, 1
  %psleeping = getelementptr i64, ptr %s, i64 {SLEEPING}
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
  br label %spin
spin:
  %turn = phi i64 [ 0, %entry ], [ 0, %go ], [ %turn1, %wait ]
  %what = call i64 @look(ptr %s, i64 %worker)
  switch i64 %what, label %idle [ i64 1, label %go
                                  i64 2, label %leave ]
idle:
  %turn1 = add i64 %turn, 1
  %tired = icmp ugt i64 %turn1, {SPINS}
  br i1 %tired, label %sleep, label %wait
wait:
  call void @rest(i64 %turn)
  br label %spin
sleep:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %before = atomicrmw add ptr %psleeping, i64 1 seq_cst
  br label %check
check:
  %now = call i64 @look(ptr %s, i64 %worker)
  %nothing = icmp eq i64 %now, 0
  br i1 %nothing, label %lie, label %awake
lie:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
awake:
  %after = atomicrmw sub ptr %psleeping, i64 1 seq_cst
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %go
go:
  call void @take(ptr %s, i64 %worker)
  br label %spin
leave:
  %pgone = getelementptr i64, ptr %s, i64 {GONE}
  %gone = atomicrmw add ptr %pgone, i64 1 seq_cst
  ret ptr null
}}

; the workers that are missing; only who holds BUSY calls it
define internal void @grow(ptr %s, i64 %limit) {{
entry:
  %handle = alloca ptr
  %all = alloca [16 x i64]
  %old = alloca [16 x i64]
  %pmade = getelementptr i64, ptr %s, i64 {MADE}
  %plazy = getelementptr i64, ptr %s, i64 {LAZY}
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  store i64 {BLOCKED}, ptr %all
  %set = call i32 @pthread_sigmask(i32 {SET_MASK}, ptr %all, ptr %old)
  br label %next
next:
  %made = load atomic i64, ptr %pmade seq_cst, align 8
  %one = add i64 %made, 1
  %short = icmp slt i64 %one, %limit
  br i1 %short, label %make, label %out
make:
  %at = shl i64 %made, 1
  %arg = getelementptr i64, ptr @arguments, i64 %at
  store ptr %s, ptr %arg
  %pnumber = getelementptr i64, ptr %arg, i64 1
  store i64 %made, ptr %pnumber
  %failed = call i32 @pthread_create(ptr %handle, ptr null, ptr @adc_pool_worker, ptr %arg)
  %bad = icmp ne i32 %failed, 0
  br i1 %bad, label %none, label %made1
made1:
  %thread = load ptr, ptr %handle
  %detached = call i32 @pthread_detach(ptr %thread)
  store atomic i64 %one, ptr %pmade seq_cst, align 8
  br label %next
none:
  ; no more threads for this process: those that are there do all chunks
  store atomic i64 0, ptr %plazy seq_cst, align 8
  br label %out
out:
  %back = call i32 @pthread_sigmask(i32 {SET_MASK}, ptr %old, ptr null)
  ret void
}}

; ---------------------------------------------------------------- the caller

; wake as many as there are chunks for others
define internal void @call_workers(ptr %s, i64 %count) {{
entry:
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
{word("asleep", SLEEPING)}
  %some = icmp sgt i64 %asleep, 0
  br i1 %some, label %which, label %out
which:
  ; a worker above the limit would swallow a signal
{word("limit", LIMIT)}
{word("made", MADE)}
{word("lazy", LAZY)}
  %own = icmp ne i64 %lazy, 0
  %few = icmp slt i64 %made, %limit
  %single = and i1 %own, %few
  br i1 %single, label %signals, label %all
all:
  call void @wake_all(ptr %s)
  br label %out
signals:
  %others = sub i64 %count, 1
  %less = icmp slt i64 %others, %asleep
  %n = select i1 %less, i64 %others, i64 %asleep
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  br label %signal
signal:
  %k = phi i64 [ 0, %signals ], [ %k1, %signal ]
  %told = call i32 @pthread_cond_signal(ptr %condition)
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, %n
  br i1 %more, label %signal, label %end
end:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %out
out:
  ret void
}}

; return when all chunks are done
define internal void @finish(ptr %s, i64 %count) {{
entry:
  %pdone = getelementptr i64, ptr %s, i64 {DONE}
  %pwaiting = getelementptr i64, ptr %s, i64 {WAITING}
  %mutex = getelementptr i64, ptr %s, i64 {MUTEX}
  %condition = getelementptr i64, ptr %s, i64 {CONDITION}
  br label %spin
spin:
  %turn = phi i64 [ 0, %entry ], [ %turn1, %idle ]
  %done = load atomic i64, ptr %pdone seq_cst, align 8
  %all = icmp eq i64 %done, %count
  br i1 %all, label %out, label %not
not:
  %turn1 = add i64 %turn, 1
  %tired = icmp ugt i64 %turn1, {SPINS}
  br i1 %tired, label %sleep, label %idle
idle:
  call void @rest(i64 %turn)
  br label %spin
sleep:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %pwaiting seq_cst, align 8
  br label %check
check:
  %now = load atomic i64, ptr %pdone seq_cst, align 8
  %ready = icmp eq i64 %now, %count
  br i1 %ready, label %awake, label %lie
lie:
  %woken = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
awake:
  store atomic i64 0, ptr %pwaiting seq_cst, align 8
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %out
out:
  ret void
}}

define i64 @adc_pool_run(ptr %chunk, ptr %context, i64 %count) {{
entry:
  %s = load ptr, ptr @adc_pool_state
{word("limit", LIMIT)}
  %several = icmp sgt i64 %limit, 1
  %many = icmp sgt i64 %count, 1
  %fits = icmp slt i64 %count, {1 << 32}
  %try0 = and i1 %several, %many
  %try = and i1 %try0, %fits
  br i1 %try, label %claim, label %alone
claim:
  %pbusy = getelementptr i64, ptr %s, i64 {BUSY}
  %pair = cmpxchg ptr %pbusy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %workers, label %alone
workers:
{word("made", MADE)}
{word("lazy", LAZY)}
  %here = add i64 %made, 1
  %short = icmp slt i64 %here, %limit
  %may = icmp ne i64 %lazy, 0
  %missing = and i1 %short, %may
  br i1 %missing, label %make, label %publish
make:
  call void @grow(ptr %s, i64 %limit)
  br label %publish
publish:
  %pcount = getelementptr i64, ptr %s, i64 {COUNT}
  %pchunk = getelementptr i64, ptr %s, i64 {CHUNK}
  %pcontext = getelementptr i64, ptr %s, i64 {CONTEXT}
  %pdone = getelementptr i64, ptr %s, i64 {DONE}
  %perror = getelementptr i64, ptr %s, i64 {ERROR}
  %old = load atomic i64, ptr %s seq_cst, align 8
  store atomic i64 %count, ptr %pcount seq_cst, align 8
  store atomic ptr %chunk, ptr %pchunk seq_cst, align 8
  store atomic ptr %context, ptr %pcontext seq_cst, align 8
  store atomic i64 0, ptr %pdone seq_cst, align 8
  %pmode = getelementptr i64, ptr %s, i64 {MODE}
  %mode = call i64 @mode()
  store atomic i64 %mode, ptr %pmode seq_cst, align 8
  store atomic i64 {NONE}, ptr %perror seq_cst, align 8
  %job = lshr i64 %old, 32
  %job1 = add i64 %job, 1
  %high = shl i64 %job1, 32
  %n = call i64 @llvm.smin.i64(i64 %count, i64 {BITS})
  %above = shl i64 1, %n
  %bits = sub i64 %above, 1
  %open = or i64 %high, %bits
  store atomic i64 %open, ptr %s seq_cst, align 8
  call void @call_workers(ptr %s, i64 %count)
  call void @take(ptr %s, i64 0)
  call void @finish(ptr %s, i64 %count)
  %error = load atomic i64, ptr %perror seq_cst, align 8
{word("code", CODE)}
  store atomic i64 0, ptr %pbusy seq_cst, align 8
  %fine = icmp eq i64 %error, {NONE}
  %answer = select i1 %fine, i64 0, i64 %code
  ret i64 %answer
alone:
  %none = icmp slt i64 %count, 1
  br i1 %none, label %well, label %one
one:
  %k = phi i64 [ 0, %alone ], [ %k1, %on ]
  %k1 = add i64 %k, 1
  %c = call i64 %chunk(ptr %context, i64 %k, i64 %k1, i64 0)
  %failed = icmp ne i64 %c, 0
  br i1 %failed, label %ill, label %on
on:
  %last = icmp eq i64 %k1, %count
  br i1 %last, label %well, label %one
ill:
  ret i64 %c
well:
  ret i64 0
}}
"""


def text(machine: str) -> str:
    """The module for a machine."""
    own = MACHINES.get(machine, Machine())
    return own.code + TEXT.replace("PAUSE", own.pause).replace("FLUSH", str(own.flush))


__all__ = ["TEXT", "text"]
