/* Writes down what a process does to the files below one folder, so that a power cut can be played afterwards.

   Preloaded (LD_PRELOAD); JOURNAL_ROOT is the folder, JOURNAL_FILE where the entries go, see lost_writes.py,
   and JOURNAL_EIO, if set, a file: while it exists, fsync of a path that contains its content fails with EIO.
   An entry is appended by one write, after what it tells of was done; an fsync has one before it as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct entry {
    uint32_t length; /* of the whole entry */
    uint32_t thread;
    uint64_t inode;
    uint64_t offset;
    uint32_t kind;
    uint32_t first; /* bytes of the first name */
} __attribute__((packed));

static char root[PATH_MAX], control[PATH_MAX];
static size_t root_length;
static int journal = -1;

static void __attribute__((constructor)) begin(void) {
    const char *folder = getenv("JOURNAL_ROOT"), *file = getenv("JOURNAL_FILE"), *eio = getenv("JOURNAL_EIO");
    if (!folder || !file || !realpath(folder, root)) return;
    root_length = strlen(root);
    if (eio) snprintf(control, sizeof control, "%s", eio);
    int opened = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    journal = fcntl(opened, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, opened);
}

static void note(char kind, uint64_t inode, uint64_t offset, const char *first, const void *second, size_t bytes) {
    int saved = errno;
    size_t named = first ? strlen(first) : 0, length = sizeof(struct entry) + named + bytes;
    char small[8192], *whole = length <= sizeof small ? small : malloc(length);
    struct entry head = {length, (uint32_t)syscall(SYS_gettid), inode, offset, (uint32_t)kind, named};
    memcpy(whole, &head, sizeof head);
    if (named) memcpy(whole + sizeof head, first, named);
    if (bytes) memcpy(whole + sizeof head + named, second, bytes);
    if (syscall(SYS_write, journal, whole, length) != (long)length) abort();
    if (whole != small) free(whole);
    errno = saved;
}

/* The name below the root, or NULL. */
static const char *below(const char *path) {
    if (journal < 0 || strncmp(path, root, root_length)) return NULL;
    if (path[root_length] == '\0') return "";
    return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

static const char *below_at(int folder, const char *path, char *buffer) {
    if (journal < 0) return NULL;
    if (path[0] == '/') return below(path);
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0 || length + strlen(path) + 2 > PATH_MAX) return NULL;
    buffer[length] = '/';
    strcpy(buffer + length + 1, path);
    return below(buffer);
}

static int is_ours(int file, struct stat *found) {
    if (journal < 0 || file == journal) return 0;
    int saved = errno, ours = 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = '\0';
        ours = below(path) != NULL && fstat(file, found) == 0;
    }
    errno = saved;
    return ours;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *name = flags & (O_CREAT | O_TRUNC) ? below_at(folder, path, buffer) : NULL;
    if (!name) return syscall(SYS_openat, folder, path, flags, mode);
    int created = 0, file = -1;
    struct stat found;
    if (flags & O_CREAT) {
        file = syscall(SYS_openat, folder, path, flags | O_EXCL, mode);
        created = file >= 0;
    }
    if (!created) {
        if (flags & O_CREAT && (errno != EEXIST || flags & O_EXCL)) return -1;
        file = syscall(SYS_openat, folder, path, flags & ~O_CREAT, mode);
    }
    if (file < 0 || fstat(file, &found)) return file;
    if (created) note('C', found.st_ino, 0, name, NULL, 0);
    else if (flags & O_TRUNC) note('T', found.st_ino, 0, NULL, NULL, 0);
    return file;
}

#define OPEN(name, ...)                                                                                        \
    {                                                                                                          \
        va_list rest;                                                                                          \
        va_start(rest, flags);                                                                                 \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                \
        va_end(rest);                                                                                          \
        return open_at(__VA_ARGS__, flags, mode);                                                              \
    }
int open(const char *path, int flags, ...) OPEN(open, AT_FDCWD, path)
int open64(const char *path, int flags, ...) OPEN(open64, AT_FDCWD, path)
int openat(int folder, const char *path, int flags, ...) OPEN(openat, folder, path)
int openat64(int folder, const char *path, int flags, ...) OPEN(openat64, folder, path)
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

ssize_t write(int file, const void *data, size_t bytes) {
    struct stat found;
    int ours = is_ours(file, &found);
    off_t at = ours ? (fcntl(file, F_GETFL) & O_APPEND ? found.st_size : lseek(file, 0, SEEK_CUR)) : 0;
    ssize_t written = syscall(SYS_write, file, data, bytes);
    if (ours && written > 0) note('W', found.st_ino, at, NULL, data, written);
    return written;
}

static ssize_t write_at(int file, const void *data, size_t bytes, off_t at) {
    struct stat found;
    ssize_t written = syscall(SYS_pwrite64, file, data, bytes, at);
    if (written > 0 && is_ours(file, &found)) note('W', found.st_ino, at, NULL, data, written);
    return written;
}
ssize_t pwrite(int file, const void *data, size_t bytes, off_t at) { return write_at(file, data, bytes, at); }
ssize_t pwrite64(int file, const void *data, size_t bytes, off_t at) { return write_at(file, data, bytes, at); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    struct stat found;
    if (!is_ours(file, &found)) return syscall(SYS_writev, file, parts, count);
    ssize_t total = 0;
    for (int at = 0; at < count; at++) {
        ssize_t written = write(file, parts[at].iov_base, parts[at].iov_len);
        if (written < 0) return total ? total : written;
        total += written;
        if ((size_t)written < parts[at].iov_len) break;
    }
    return total;
}

static int cut(int file, off_t size) {
    struct stat found;
    int failed = syscall(SYS_ftruncate, file, size);
    if (!failed && is_ours(file, &found)) note('T', found.st_ino, size, NULL, NULL, 0);
    return failed;
}
int ftruncate(int file, off_t size) { return cut(file, size); }
int ftruncate64(int file, off_t size) { return cut(file, size); }

static int cut_path(const char *path, off_t size) {
    int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (file < 0) return -1;
    int failed = cut(file, size), saved = errno;
    syscall(SYS_close, file);
    errno = saved;
    return failed;
}
int truncate(const char *path, off_t size) { return cut_path(path, size); }
int truncate64(const char *path, off_t size) { return cut_path(path, size); }

static int is_failing(int file) {
    int chosen = control[0] ? syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (chosen < 0) return 0;
    char part[256], link[64], path[PATH_MAX];
    ssize_t length = syscall(SYS_read, chosen, part, sizeof part - 1);
    syscall(SYS_close, chosen);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t named = readlink(link, path, sizeof path - 1);
    if (length <= 0 || named <= 0) return 0;
    part[length] = path[named] = '\0';
    return strstr(path, part) != NULL;
}

static int sync_file(int number, int file) {
    struct stat found;
    int ours = is_ours(file, &found);
    if (ours && is_failing(file)) {
        errno = EIO;
        return -1;
    }
    if (ours) note('f', found.st_ino, 0, NULL, NULL, 0);
    /* The journal says what is durable, so the disk need not be troubled; but it takes a disk's time. */
    int failed = ours ? usleep(1000) : syscall(number, file);
    if (ours && !failed) note('F', found.st_ino, 0, NULL, NULL, 0);
    return failed;
}
int fsync(int file) { return sync_file(SYS_fsync, file); }
int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    char first[PATH_MAX], second[PATH_MAX];
    const char *old = below_at(from_folder, from, first), *new = below_at(to_folder, to, second);
    int failed = syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    if (!failed && (old || new)) {
        if (!old || !new) abort(); /* nothing comes from elsewhere */
        note('R', 0, 0, old, new, strlen(new));
    }
    return failed;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int folder, const char *path, int flags) {
    char buffer[PATH_MAX];
    const char *name = below_at(folder, path, buffer);
    int failed = syscall(SYS_unlinkat, folder, path, flags);
    if (!failed && name) note('U', 0, 0, name, NULL, 0);
    return failed;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    const char *name = below_at(folder, path, buffer);
    struct stat found;
    int failed = syscall(SYS_mkdirat, folder, path, mode);
    if (!failed && name && fstatat(folder, path, &found, 0) == 0) note('D', found.st_ino, 0, name, NULL, 0);
    return failed;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char buffer[PATH_MAX];
    if (below_at(to_folder, to, buffer)) abort(); /* not played: nothing here links */
    return syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* The C library's own streams don't come by `open` and `write` above. */
static FILE *open_stream(const char *symbol, const char *path, const char *mode) {
    FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, symbol);
    char buffer[PATH_MAX];
    const char *name = mode[0] == 'r' ? NULL : below_at(AT_FDCWD, path, buffer);
    int existed = name && access(path, F_OK) == 0;
    FILE *stream = real(path, mode);
    struct stat found;
    if (stream && name && fstat(fileno(stream), &found) == 0) {
        if (!existed) note('C', found.st_ino, 0, name, NULL, 0);
        else if (mode[0] == 'w') note('T', found.st_ino, 0, NULL, NULL, 0);
    }
    return stream;
}
FILE *fopen(const char *path, const char *mode) { return open_stream("fopen", path, mode); }
FILE *fopen64(const char *path, const char *mode) { return open_stream("fopen64", path, mode); }

size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
    static size_t (*real)(const void *, size_t, size_t, FILE *);
    if (!real) real = (size_t(*)(const void *, size_t, size_t, FILE *))dlsym(RTLD_NEXT, "fwrite");
    struct stat found;
    int ours = stream != stdout && stream != stderr && is_ours(fileno(stream), &found);
    off_t at = ours ? ftello(stream) : 0;
    size_t written = real(data, size, count, stream);
    if (ours && written) note('W', found.st_ino, at, NULL, data, written * size);
    return written;
}
