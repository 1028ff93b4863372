/* A disk that does not give some files back: reads fail with EIO, and pages that are mapped kill with SIGBUS.

   Preloaded (LD_PRELOAD); UNREADABLE is a file: while it exists, it is so with files whose path contains
   its content. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int file) {
    const char *control = getenv("UNREADABLE");
    int saved = errno, chosen = control ? syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0) : -1;
    char part[256], link[64], path[PATH_MAX];
    ssize_t length = 0, named = 0;
    if (chosen >= 0) {
        length = syscall(SYS_read, chosen, part, sizeof part - 1);
        syscall(SYS_close, chosen);
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        named = readlink(link, path, sizeof path - 1);
    }
    errno = saved;
    if (length <= 0 || named <= 0) return 0;
    part[length] = path[named] = '\0';
    return strstr(path, part) != NULL && strcmp(path, control) != 0;
}

static ssize_t refused(void) {
    errno = EIO;
    return -1;
}

ssize_t read(int file, void *data, size_t bytes) {
    return fails(file) ? refused() : syscall(SYS_read, file, data, bytes);
}
ssize_t pread(int file, void *data, size_t bytes, off_t at) {
    return fails(file) ? refused() : syscall(SYS_pread64, file, data, bytes, at);
}
ssize_t pread64(int file, void *data, size_t bytes, off_t at) { return pread(file, data, bytes, at); }

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t at) {
    /* Behind the end of an empty file there are no pages, as there are none that a disk does not give. */
    int empty = file >= 0 && !(flags & MAP_ANONYMOUS) && fails(file) ? memfd_create("unreadable", 0) : -1;
    void *mapped = (void *)syscall(SYS_mmap, address, bytes, protection, flags, empty < 0 ? file : empty, at);
    if (empty >= 0) syscall(SYS_close, empty);
    return mapped;
}
void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t at) {
    return mmap(address, bytes, protection, flags, file, at);
}
