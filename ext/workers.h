/* The thread pool and the per-thread scratch memory: one instance a process, owned by runtime.pyx.
 *
 * Why not OpenMP: its loops end in a barrier that every thread must reach, so a worker that the operating system
 * has not scheduled holds everybody up, and waiting threads spin.  Here the caller takes chunks too, and at the
 * end waits only for workers that hold a chunk: with a busy neighbour the caller simply does all the work itself.
 *
 * Rules: one job at a time (a nested or concurrent call runs serially); an idle worker spins for a millisecond or two,
 * longer than the Python between two kernels takes, and then sleeps (one that slept sooner was often woken on its caller's
 * core); a forked child starts with no workers.  Tasks write disjoint outputs, so results do not depend on which thread
 * runs which task.
 */
#ifndef TINYGRAD_CNN_WORKERS_H
#define TINYGRAD_CNN_WORKERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef void (*task_function)(void *args, ptrdiff_t index);

#if defined(__GNUC__)
#define THREAD_LOCAL __thread
#elif defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#endif

/* ---- Denormals: trained networks produce them, and arithmetic on them is a hundred times slower. ---- */

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
static unsigned long flush_denormals(void) {
    unsigned int saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040); /* flush to zero, denormals are zero */
    return saved;
}
static void restore_denormals(unsigned long saved) { _mm_setcsr((unsigned int)saved); }
#define PAUSE() _mm_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
static unsigned long flush_denormals(void) {
    unsigned long saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved | (1ul << 24)));
    return saved;
}
static void restore_denormals(unsigned long saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }
#define PAUSE() __asm__ volatile("yield")
#else
static unsigned long flush_denormals(void) { return 0; }
static void restore_denormals(unsigned long saved) { (void)saved; }
#define PAUSE() ((void)0)
#endif

/* ---- Scratch: a buffer for each thread and slot that only grows, so that no call touches fresh pages. ---- */

enum { SCRATCH_SLOTS = 4, SCRATCH_ALIGNMENT = 64 };
typedef struct { void *block, *aligned; size_t size; } scratch_slot;
static THREAD_LOCAL scratch_slot scratch_slots[SCRATCH_SLOTS];

static void *scratch(int slot, size_t bytes) { /* NULL when memory is out */
    scratch_slot *s = &scratch_slots[slot];
    if (s->size < bytes) {
        free(s->block);
        s->block = malloc(bytes + SCRATCH_ALIGNMENT);
        s->size = s->block ? bytes : 0;
        s->aligned = s->block ? (void *)(((size_t)s->block + SCRATCH_ALIGNMENT - 1) & ~(size_t)(SCRATCH_ALIGNMENT - 1)) : NULL;
    }
    return s->aligned;
}

static void scratch_free(void) { /* this thread's */
    for (int slot = 0; slot < SCRATCH_SLOTS; slot++) {
        free(scratch_slots[slot].block);
        scratch_slots[slot] = (scratch_slot){0};
    }
}

/* ---- The pool ---- */

static void run_serially(task_function task, void *args, ptrdiff_t tasks) {
    unsigned long mode = flush_denormals();
    for (ptrdiff_t i = 0; i < tasks; i++) task(args, i);
    restore_denormals(mode);
}

#if defined(__GNUC__) && !defined(_WIN32)
#define POOL_THREADS "pthreads"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MAX_WORKERS = 255, SPINS = 40000 /* 1 to 2 ms */, SPINS_TO_YIELD = 256 };

static struct {
    pthread_mutex_t busy;           /* held by the caller whose job runs */
    pthread_mutex_t lock;           /* guards what follows */
    pthread_cond_t job_posted, job_left;
    atomic_uint posted;             /* counts jobs; workers watch it */
    int workers, sleeping;
    int seats;                      /* workers that may still join the job */
    atomic_int joined;              /* workers inside the job */
    task_function task;
    void *args;
    ptrdiff_t grain;                /* a thread takes so many tasks at a time */
    int parts;                      /* of the job, one for each thread */
    int fork_handler;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

/* Neighbouring tasks, which one thread takes first: job after job the same, so it finds its share of the data in its caches.
 * Whoever is done helps the others. */
static struct { _Alignas(64) atomic_ptrdiff_t next; ptrdiff_t end; } parts[MAX_WORKERS + 1];

static THREAD_LOCAL int inside_pool;

static void spin(int turn) { /* now and then let others have the core */
    if (turn % SPINS_TO_YIELD) PAUSE();
    else sched_yield();
}

static void pool_after_fork(void) { /* the child has no workers, and locks may have been held */
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.job_posted, NULL);
    pthread_cond_init(&pool.job_left, NULL);
    pool.workers = pool.sleeping = pool.seats = 0;
    atomic_store(&pool.joined, 0);
}

static void take_tasks(int thread) {
    unsigned long mode = flush_denormals();
    task_function task = pool.task;
    void *args = pool.args;
    ptrdiff_t grain = pool.grain, i;
    for (int part = 0; part < pool.parts; part++) {
        const int from = (thread + part) % pool.parts;
        const ptrdiff_t end = parts[from].end;
        while (atomic_load(&parts[from].next) < end && (i = atomic_fetch_add(&parts[from].next, grain)) < end)
            for (ptrdiff_t stop = i + grain < end ? i + grain : end; i < stop; i++) task(args, i);
    }
    restore_denormals(mode);
}

static void *worker_main(void *number) {
    inside_pool = 1;
    pthread_mutex_lock(&pool.lock);
    unsigned seen = atomic_load(&pool.posted) - 1; /* the job that started this worker is still to be looked at */
    for (;;) {
        while (seen == atomic_load(&pool.posted)) {
            pthread_mutex_unlock(&pool.lock);
            for (int i = 1; i < SPINS && seen == atomic_load(&pool.posted); i++) spin(i);
            pthread_mutex_lock(&pool.lock);
            if (seen == atomic_load(&pool.posted)) {
                pool.sleeping++;
                pthread_cond_wait(&pool.job_posted, &pool.lock);
                pool.sleeping--;
            }
        }
        seen = atomic_load(&pool.posted);
        if (pool.seats > 0) {
            pool.seats--;
            atomic_fetch_add(&pool.joined, 1);
            pthread_mutex_unlock(&pool.lock);
            take_tasks((int)(intptr_t)number);
            pthread_mutex_lock(&pool.lock);
            if (atomic_fetch_sub(&pool.joined, 1) == 1) pthread_cond_signal(&pool.job_left);
        }
    }
    return NULL;
}

static void start_workers(int wanted) { /* with pool.lock held; fewer is not an error */
    if (!pool.fork_handler) {
        pthread_atfork(NULL, NULL, pool_after_fork);
        pool.fork_handler = 1;
    }
    while (pool.workers < wanted && pool.workers < MAX_WORKERS) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(intptr_t)(pool.workers + 1)) != 0) break;
        pthread_detach(thread);
        pool.workers++;
    }
}

static void run_parallel(task_function task, void *args, ptrdiff_t tasks, ptrdiff_t grain, int threads) {
    if (threads <= 1 || tasks <= grain || inside_pool || pthread_mutex_trylock(&pool.busy) != 0) {
        run_serially(task, args, tasks);
        return;
    }
    if (threads > MAX_WORKERS + 1) threads = MAX_WORKERS + 1;
    pthread_mutex_lock(&pool.lock);
    pool.task = task;
    pool.args = args;
    pool.grain = grain;
    pool.seats = threads - 1 < (tasks - 1) / grain ? threads - 1 : (int)((tasks - 1) / grain);
    pool.parts = pool.seats + 1;
    for (int part = 0; part < pool.parts; part++) {
        atomic_store(&parts[part].next, tasks * part / pool.parts);
        parts[part].end = tasks * (part + 1) / pool.parts;
    }
    atomic_fetch_add(&pool.posted, 1);
    start_workers(pool.seats);
    if (pool.sleeping) pthread_cond_broadcast(&pool.job_posted);
    pthread_mutex_unlock(&pool.lock);

    inside_pool = 1;
    take_tasks(0);
    inside_pool = 0;

    pthread_mutex_lock(&pool.lock);
    pool.seats = 0; /* a worker that wakes now finds the job closed */
    pthread_mutex_unlock(&pool.lock);
    for (int i = 1; i < SPINS && atomic_load(&pool.joined) > 0; i++) spin(i);
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.joined) > 0) pthread_cond_wait(&pool.job_left, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.busy);
}

#else
#define POOL_THREADS "none"
static void run_parallel(task_function task, void *args, ptrdiff_t tasks, ptrdiff_t grain, int threads) {
    (void)threads, (void)grain;
    run_serially(task, args, tasks);
}
#endif

#endif
