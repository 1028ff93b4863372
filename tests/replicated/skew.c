/* Preloaded into a shard node: its wall clock is off by what a file says, in nanoseconds, and changes with it.

   Clocks that only grow are left alone. Each process reads the file that its own variable names, forked or not. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void forget(void) { offset = NULL; }

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    pthread_atfork(NULL, NULL, forget);
}

static int64_t skew(void) {
    if (offset == NULL) {
        const char *name = getenv("SKEW_FILE");
        int descriptor = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
        if (descriptor < 0)
            return 0;
        void *found = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, descriptor, 0);
        close(descriptor);
        if (found == MAP_FAILED)
            return 0;
        offset = found;
    }
    return *offset;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = real_clock_gettime(which, now);
    if (failed || which != CLOCK_REALTIME)
        return failed;
    int64_t there = now->tv_sec * 1000000000LL + now->tv_nsec + skew();
    now->tv_sec = there / 1000000000LL;
    now->tv_nsec = there % 1000000000LL;
    return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (where)
        *where = fine.tv_sec;
    return fine.tv_sec;
}
