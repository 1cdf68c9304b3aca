/* A pool of threads that sleep. Any number of callers at once, each with a job of its own: n tasks, taken from a counter
 * by the caller and by whichever workers arrive in time. A caller waits for tasks that somebody has taken, never for
 * a thread: where the machine is busy it does all of them itself.
 *
 * - A job lies in a slot that is never freed. Its counter carries the number of the job it belongs to, so that a worker
 *   that comes too late finds another number and touches nothing.
 * - Workers look for the next job a little while, then sleep; the first job to want them starts them.
 * - The pool keeps the balance of what helpers have computed and what callers have waited for them. Where waiting
 *   exceeds it, as on a busy machine whose scheduler takes a helper off its core within a task, callers go on alone
 *   for a while, and for longer each time that it does not help.
 * - A task that fails, or a signal, ends the job: what is not taken yet is not done.
 * - After a fork the child begins with an empty pool.
 *
 * FASTREG_NO_THREADS leaves the caller alone. */
#ifndef FASTREG_THREADS_H
#define FASTREG_THREADS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- what the systems call it ---------------------------------------------------------------------------------- */
#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
typedef SRWLOCK fr_mutex;
typedef CONDITION_VARIABLE fr_cond;
#define FR_MUTEX_INIT SRWLOCK_INIT
#define FR_COND_INIT CONDITION_VARIABLE_INIT
static void fr_lock(fr_mutex *m) { AcquireSRWLockExclusive(m); }
static void fr_unlock(fr_mutex *m) { ReleaseSRWLockExclusive(m); }
static void fr_sleep(fr_cond *c, fr_mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static void fr_doze(fr_cond *c, fr_mutex *m, int ms) { SleepConditionVariableSRW(c, m, ms, 0); }
static void fr_wake(fr_cond *c) { WakeConditionVariable(c); }
static void fr_wake_all(fr_cond *c) { WakeAllConditionVariable(c); }
static int64_t fr_wall(void) { /* ns */
    LARGE_INTEGER t, f;
    QueryPerformanceCounter(&t);
    QueryPerformanceFrequency(&f);
    return t.QuadPart / f.QuadPart * 1000000000 + t.QuadPart % f.QuadPart * 1000000000 / f.QuadPart;
}
static int64_t fr_cpu(void) { /* ns of this thread */
    FILETIME a, b, k, u;
    GetThreadTimes(GetCurrentThread(), &a, &b, &k, &u);
    return 100 * ((((int64_t)k.dwHighDateTime + u.dwHighDateTime) << 32) + k.dwLowDateTime + u.dwLowDateTime);
}
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>
typedef pthread_mutex_t fr_mutex;
typedef pthread_cond_t fr_cond;
#define FR_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define FR_COND_INIT PTHREAD_COND_INITIALIZER
static void fr_lock(fr_mutex *m) { pthread_mutex_lock(m); }
static void fr_unlock(fr_mutex *m) { pthread_mutex_unlock(m); }
static void fr_sleep(fr_cond *c, fr_mutex *m) { pthread_cond_wait(c, m); }
#ifdef __APPLE__
static void fr_timed(fr_cond *c) { pthread_cond_init(c, NULL); }
static void fr_doze(fr_cond *c, fr_mutex *m, int ms) {
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    pthread_cond_timedwait_relative_np(c, m, &t);
}
#else
static void fr_timed(fr_cond *c) { /* one whose waits go by the clock that nobody sets */
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}
static void fr_doze(fr_cond *c, fr_mutex *m, int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(c, m, &t);
}
#endif
static void fr_wake(fr_cond *c) { pthread_cond_signal(c); }
static void fr_wake_all(fr_cond *c) { pthread_cond_broadcast(c); }
static int64_t fr_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static int64_t fr_wall(void) { return fr_clock(CLOCK_MONOTONIC); } /* ns */
static int64_t fr_cpu(void) { return fr_clock(CLOCK_THREAD_CPUTIME_ID); } /* ns of this thread */
#endif

#ifdef _MSC_VER
#include <intrin.h>
#define FR_OWN __declspec(thread)
#define FR_EXPORT __declspec(dllexport)
static int64_t fr_get(const int64_t *p) { return _InterlockedOr64((volatile int64_t *)p, 0); }
static void fr_set(int64_t *p, int64_t v) { _InterlockedExchange64((volatile int64_t *)p, v); }
static int64_t fr_add(int64_t *p, int64_t v) { return _InterlockedExchangeAdd64((volatile int64_t *)p, v) + v; }
static int fr_swap(int64_t *p, int64_t from, int64_t to) {
    return _InterlockedCompareExchange64((volatile int64_t *)p, to, from) == from;
}
#else
#define FR_OWN __thread
#define FR_EXPORT __attribute__((visibility("default")))
static int64_t fr_get(const int64_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static void fr_set(int64_t *p, int64_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
static int64_t fr_add(int64_t *p, int64_t v) { return __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST); }
static int fr_swap(int64_t *p, int64_t from, int64_t to) {
    return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
#endif

static void fr_pause(void) {
#if defined(_MSC_VER)
    YieldProcessor();
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

/* ---- jobs ------------------------------------------------------------------------------------------------------ */
typedef int (*fr_task)(void *context, ptrdiff_t k); /* below 0: failed */

enum {
    FR_JOBS = 64,         /* callers at the same time; one more works alone */
    FR_WORKERS = 256,     /* of all callers together */
    FR_LOOK = 50          /* ms between looks at signals */
};
static const int64_t FR_AWAKE = 30000;      /* ns that a worker looks for the next job before it sleeps, */
static const int64_t FR_AT_HAND = 10000;    /* and a caller for the end of the last tasks */
static const int64_t FR_SHORT = 20000000, FR_LONG = 1000000000;     /* ns that callers go on alone */
static const int64_t FR_LOW = 0xffffffff;   /* a number of tasks or seats; above it, the number of their job */

typedef struct {
    int64_t taken;                      /* 1: the slot is some caller's */
    int64_t number;                     /* of the job, counted in this slot */
    int64_t seats;                      /* workers that may still join */
    int64_t task, context, n;           /* set after seats and before next; as they are while a task is left */
    int64_t next;                       /* the next task: who moves it on has taken one */
    int64_t done;                       /* tasks that are over */
    int64_t stop;                       /* 1: tasks that are left are not to be done */
    int64_t failed;                     /* 1: somebody keeps an error */
    int64_t helped;                     /* ns that workers have computed */
    int64_t awaited;                    /* 1: the caller sleeps until the last task is over */
    void *error[3];
} fr_job;

static struct {
    fr_mutex lock;
    fr_cond work, over;                 /* there is a job; some job's last task is over */
    int64_t posted;                     /* jobs so far: when it moves, there is something to look for */
    int64_t slots;                      /* that have ever been taken */
    int64_t workers, asleep;
    int64_t forks;                      /* tells whether this is still the process that a call began in */
    int64_t balance;                    /* ns of help beyond those of waiting for it, */
    int64_t patience;                   /* which go so far below 0 */
    int64_t pause, alone_until;
    fr_job jobs[FR_JOBS];
} fr_pool = {FR_MUTEX_INIT, FR_COND_INIT, FR_COND_INIT, 0, 0, 0, 0, 0, 0, 1000000};

/* What belongs to the interpreter. */
static struct {
    void (*begin)(void);                /* in each worker, first of all */
    void (*keep)(void **error);         /* the error that a task has left in this thread, */
    void (*drop)(void);                 /* or nothing of it: another one is kept */
    void (*raise)(void **error);        /* in the caller, what was kept; NULL: that it has come out of a fork within
                                           a task, and others were left behind */
    int (*signals)(void);               /* below 0: a signal, or who wants this thread to end, has left an error */
} fr_hooks;

static FR_OWN fr_job *fr_current;       /* what this thread is at work on */
static FR_OWN int fr_is_worker;
static FR_OWN int64_t fr_looked;        /* when it last looked at signals */
static FR_OWN int64_t *fr_halt;         /* not 0 there: what this thread does is wanted no more */

static int64_t fr_take(fr_job *job, int64_t number, int64_t n) {
    for (;;) {
        int64_t next = fr_get(&job->next);
        if (next >> 32 != number || (next & FR_LOW) >= n) return -1;
        if (fr_swap(&job->next, next, next + 1)) return next & FR_LOW;
    }
}

static void fr_fail(fr_job *job) {
    fr_set(&job->stop, 1);
    if (fr_swap(&job->failed, 0, 1)) fr_hooks.keep(job->error);
    else fr_hooks.drop();
}

/* Now and then, whether a signal or a halt has left an error; workers leave that to who has called them. */
static int fr_heard(void) {
    int64_t now;
    if (fr_is_worker || (now = fr_wall()) - fr_looked < FR_LOOK * (int64_t)1000000) return 0;
    fr_looked = now;
    return fr_hooks.signals() < 0;
}

/* Tasks from k on, until none is left; returns how many. */
static int64_t fr_work(fr_job *job, int64_t k, int64_t number, fr_task task, void *context, int64_t n) {
    int64_t count = 0;
    fr_current = job;
    for (; k >= 0; k = fr_take(job, number, n)) {
        count++;
        if (!fr_get(&job->stop) && (fr_heard() || task(context, (ptrdiff_t)k) < 0)) fr_fail(job);
    }
    fr_current = NULL;
    return count;
}

/* ---- workers --------------------------------------------------------------------------------------------------- */
/* Help with one job; returns whether there was one. */
static int fr_help(fr_job *job) {
    int64_t next = fr_get(&job->next), seats = fr_get(&job->seats), number = next >> 32, start, k;
    fr_task task = (fr_task)(intptr_t)fr_get(&job->task);
    void *context = (void *)(intptr_t)fr_get(&job->context);
    int64_t n = fr_get(&job->n), count;
    if ((next & FR_LOW) >= n || seats >> 32 != number || (seats & FR_LOW) == 0) return 0;
    start = fr_cpu();
    /* Either fails if the job is not the one that all of this was read of. */
    if (!fr_swap(&job->seats, seats, seats - 1) || (k = fr_take(job, number, n)) < 0) return 0;
    count = fr_work(job, k, number, task, context, n);
    fr_add(&job->helped, fr_cpu() - start);
    if (fr_add(&job->done, count) == n && fr_get(&job->awaited)) {
        fr_lock(&fr_pool.lock);
        fr_wake_all(&fr_pool.over);
        fr_unlock(&fr_pool.lock);
    }
    return 1;
}

static void fr_serve(void) {
    int64_t seen, k, slots, until;
    int some;
    fr_is_worker = 1;
    fr_hooks.begin();
    for (;;) {
        seen = fr_get(&fr_pool.posted);
        slots = fr_get(&fr_pool.slots);
        for (k = 0, some = 0; k < slots; k++) some |= fr_help(&fr_pool.jobs[k]);
        for (until = some ? fr_wall() + FR_AWAKE : 0; fr_get(&fr_pool.posted) == seen && fr_wall() < until;) fr_pause();
        if (fr_get(&fr_pool.posted) != seen) continue;
        fr_lock(&fr_pool.lock);
        fr_add(&fr_pool.asleep, 1);
        while (fr_get(&fr_pool.posted) == seen) fr_sleep(&fr_pool.work, &fr_pool.lock);
        fr_add(&fr_pool.asleep, -1);
        fr_unlock(&fr_pool.lock);
    }
}

#if defined(FASTREG_NO_THREADS)
static int fr_start(void) { return -1; }
#elif defined(_WIN32)
static DWORD WINAPI fr_main(LPVOID nothing) {
    (void)nothing;
    fr_serve();
    return 0;
}
static int fr_start(void) {
    HANDLE thread = CreateThread(NULL, 0, fr_main, NULL, 0, NULL);
    if (thread == NULL) return -1;
    CloseHandle(thread);
    return 0;
}
#else
static void *fr_main(void *nothing) {
    (void)nothing;
    fr_serve();
    return NULL;
}
static void fr_before_fork(void) { fr_lock(&fr_pool.lock); }
static void fr_in_parent(void) { fr_unlock(&fr_pool.lock); }
static void fr_in_child(void) { /* no worker has come along, and no other caller */
    int64_t forks = fr_pool.forks + 1, patience = fr_pool.patience;
    memset(&fr_pool, 0, sizeof(fr_pool));
    pthread_mutex_init(&fr_pool.lock, NULL);
    pthread_cond_init(&fr_pool.work, NULL);
    fr_timed(&fr_pool.over);
    fr_pool.forks = forks;
    fr_pool.patience = patience;
}
static int fr_start(void) {
    static int prepared = 0;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t ours, before;
    int failed;
    if (!prepared) {
        if (pthread_atfork(fr_before_fork, fr_in_parent, fr_in_child)) return -1;
        fr_timed(&fr_pool.over);
        prepared = 1;
    }
    if (pthread_attr_init(&attr)) return -1;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 4 << 20);
    sigfillset(&ours); /* signals are for the threads that Python knows, but for those that a fault raises */
    sigdelset(&ours, SIGSEGV);
    sigdelset(&ours, SIGBUS);
    sigdelset(&ours, SIGFPE);
    sigdelset(&ours, SIGILL);
    pthread_sigmask(SIG_SETMASK, &ours, &before);
    failed = pthread_create(&thread, &attr, fr_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed ? -1 : 0;
}
#endif

/* See that there are so many workers; returns how many there are. */
static int64_t fr_workers(int64_t wanted) {
    if (fr_get(&fr_pool.workers) < wanted) {
        fr_lock(&fr_pool.lock);
        while (fr_get(&fr_pool.workers) < wanted && wanted <= FR_WORKERS && fr_start() == 0) fr_add(&fr_pool.workers, 1);
        fr_unlock(&fr_pool.lock);
    }
    return fr_get(&fr_pool.workers);
}

/* ---- callers --------------------------------------------------------------------------------------------------- */
/* What a job has gained by its helpers: ns that they have computed, less what they cost the caller. */
static void fr_settle(int64_t gain) {
    int64_t balance = fr_add(&fr_pool.balance, gain), patience = fr_get(&fr_pool.patience), pause;
    if (balance > patience) {
        fr_set(&fr_pool.balance, patience);
        fr_set(&fr_pool.pause, 0);
    } else if (balance < -patience) {
        pause = 2 * fr_get(&fr_pool.pause);
        pause = pause < FR_SHORT ? FR_SHORT : pause > FR_LONG ? FR_LONG : pause;
        fr_set(&fr_pool.pause, pause);
        fr_set(&fr_pool.alone_until, fr_wall() + pause);
        fr_set(&fr_pool.balance, -patience / 2);
    }
}

static fr_job *fr_slot(void) {
    int64_t k, slots;
    for (k = 0; k < FR_JOBS; k++) {
        if (fr_get(&fr_pool.jobs[k].taken) || !fr_swap(&fr_pool.jobs[k].taken, 0, 1)) continue;
        while ((slots = fr_get(&fr_pool.slots)) <= k && !fr_swap(&fr_pool.slots, slots, k + 1)) {}
        return &fr_pool.jobs[k];
    }
    return NULL;
}

static void fr_post(fr_job *job, int64_t number, fr_task task, void *context, int64_t n, int64_t helpers) {
    fr_set(&job->number, number);
    fr_set(&job->done, 0);
    fr_set(&job->stop, 0);
    fr_set(&job->failed, 0);
    fr_set(&job->helped, 0);
    fr_set(&job->awaited, 0);
    fr_set(&job->seats, number << 32 | helpers);
    fr_set(&job->task, (int64_t)(intptr_t)task);
    fr_set(&job->context, (int64_t)(intptr_t)context);
    fr_set(&job->n, n);
    fr_set(&job->next, number << 32);
    fr_add(&fr_pool.posted, 1);
    if (fr_get(&fr_pool.asleep) > 0) {
        fr_lock(&fr_pool.lock);
        if (helpers < fr_get(&fr_pool.asleep)) while (helpers-- > 0) fr_wake(&fr_pool.work);
        else fr_wake_all(&fr_pool.work);
        fr_unlock(&fr_pool.lock);
    }
}

/* Until all tasks are over; nobody waits for a worker that has taken none. */
static void fr_await(fr_job *job, int64_t n, int64_t forks) {
    int64_t until = fr_wall() + FR_AT_HAND;
    while (fr_get(&job->done) < n && fr_wall() < until) fr_pause();
    while (fr_get(&job->done) < n && fr_get(&fr_pool.forks) == forks) {
        fr_lock(&fr_pool.lock);
        fr_set(&job->awaited, 1);
        if (fr_get(&job->done) < n) fr_doze(&fr_pool.over, &fr_pool.lock, FR_LOOK);
        fr_unlock(&fr_pool.lock);
        if (fr_get(&job->done) < n && !fr_get(&job->stop) && fr_hooks.signals() < 0) fr_fail(job);
    }
}

static int fr_alone(fr_task task, void *context, int64_t n) {
    int64_t k;
    for (k = 0; k < n; k++) if (fr_heard() || task(context, (ptrdiff_t)k) < 0) return -1;
    return 0;
}

/* task(context, k) for k in 0 .. n - 1, by at most so many threads; below 0 where one has failed, and its error is
 * raised in this thread. A call within a task works alone. */
static int fr_run(fr_task task, void *context, int64_t n, int64_t threads) {
    int64_t helpers, number, begin, ready, mine, end, forks = fr_get(&fr_pool.forks);
    int failed;
    fr_job *job;
    if (threads < 2 || n < 2 || n > 0x7fffffff || fr_current != NULL) return fr_alone(task, context, n);
    begin = fr_wall();
    if (begin < fr_get(&fr_pool.alone_until)) return fr_alone(task, context, n);
    helpers = fr_workers((threads < n ? threads : n) - 1);
    helpers = helpers < threads - 1 ? helpers : threads - 1;
    if (helpers < 1 || (job = fr_slot()) == NULL) return fr_alone(task, context, n);
    number = (fr_get(&job->number) + 1) & 0x7fffffff;
    begin = fr_wall();
    fr_post(job, number, task, context, n, helpers < n ? helpers : n - 1);
    ready = fr_wall();
    mine = fr_work(job, fr_take(job, number, n), number, task, context, n);
    end = fr_wall();
    if (fr_add(&job->done, mine) < n) fr_await(job, n, forks);
    fr_settle(fr_get(&job->helped) - (fr_wall() - end) - (ready - begin));
    if (fr_get(&fr_pool.forks) != forks) {
        fr_hooks.raise(NULL);
        return -1;
    }
    failed = (int)fr_get(&job->failed);
    if (failed) fr_hooks.raise(job->error);
    fr_set(&job->taken, 0);
    return failed ? -1 : 0;
}

/* Within a long task, now and then, whether it should end. 1: an error is to be raised; 2: there is one. */
static int fr_look(void) {
    if (fr_current != NULL && fr_get(&fr_current->stop)) return 1;
    return fr_heard() ? 2 : 0;
}

/* ---- to be asked ----------------------------------------------------------------------------------------------- */
static int64_t fr_n_workers(void) { return fr_get(&fr_pool.workers); }

static int64_t fr_paused(void) { /* ns */
    int64_t left = fr_get(&fr_pool.alone_until) - fr_wall();
    return left > 0 ? left : 0;
}

static int64_t fr_set_patience(int64_t ns) {
    int64_t before = fr_get(&fr_pool.patience);
    fr_set(&fr_pool.patience, ns);
    fr_set(&fr_pool.balance, 0);
    fr_set(&fr_pool.pause, 0);
    fr_set(&fr_pool.alone_until, 0);
    return before;
}

#if defined(FASTREG_NO_THREADS)
#define FR_THREADS "none"
#elif defined(_WIN32)
#define FR_THREADS "Windows threads"
#else
#define FR_THREADS "POSIX threads"
#endif
#endif
