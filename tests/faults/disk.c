/* Loaded into Salon by LD_PRELOAD: records what is done to the files below a folder, and hurts it.
 *
 * DISK_FOLDER   an absolute path; what lies elsewhere is left alone, and so are -shm files, which nothing is in that
 *               is needed by another start
 * DISK_RECORD   a file: what is done to those files, and what is sent to sockets, in the order in which it happened.
 *               A piece of it: operation (1 byte), length of the name (2), length of the data (4), position (8),
 *               name, data; numbers with their low byte first. The name is a path in the folder, or the number of a
 *               socket's descriptor. A write is noted when it is done, a sync when it has succeeded (`s`) or failed
 *               (`f`), before anything that comes of it.
 * DISK_OUTSIDE  a file: the path of each file that is made, or may be, outside of that folder, one a line
 * DISK_CONTROL  a file of numbers (4 bytes each, those of `enum control`) that others write to while Salon runs
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum control {
    SYNC_ERROR,   /* the error that a sync fails with, though it was done; 0: none */
    SYNCS,        /* how many syncs fail; less than 0: all */
    WRITE_ERROR,  /* the same for writes, of which then nothing is done */
    WRITES,
    READ_ERROR,
    READS,
    SYNC_MS,      /* a sync takes at least so long, or until this is 0 */
    SYNCING,      /* told: syncs that have begun and not ended */
    SYNCED,       /* told: syncs that have ended */
    CONTROLS
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_len;
static int record = -1, outside = -1;
static volatile int32_t nothing[CONTROLS], *control = nothing;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_FOLDER");
    if (!path || !realpath(path, folder)) return;
    folder_len = strlen(folder);
    if ((path = getenv("DISK_RECORD"))) record = syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if ((path = getenv("DISK_OUTSIDE")))
        outside = syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if ((path = getenv("DISK_CONTROL"))) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) control = shared;
    }
}

static int ends_with(const char *text, const char *end) {
    size_t len = strlen(text), of_end = strlen(end);
    return len >= of_end && !strcmp(text + len - of_end, end);
}

/* The path below the folder, or NULL if it is none of ours. */
static const char *below(const char *path) {
    if (!folder_len || strncmp(path, folder, folder_len)) return NULL;
    if (ends_with(path, "-shm") || ends_with(path, " (deleted)")) return NULL;
    if (!path[folder_len]) return "";
    return path[folder_len] == '/' ? path + folder_len + 1 : NULL;
}

/* The same of a descriptor. `space` has room for a path. */
static const char *name_of(int fd, char *space) {
    char link[40];
    if (!folder_len) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, space, PATH_MAX - 1);
    if (len < 0) return NULL;
    space[len] = 0;
    return below(space);
}

/* With the lock held. One write, so that a process that is killed leaves a whole piece or the beginning of one. */
static void note(char operation, const char *name, uint64_t position, const void *data, uint32_t len) {
    if (record < 0) return;
    uint16_t name_len = strlen(name);
    char head[15];
    head[0] = operation;
    memcpy(head + 1, &name_len, 2);
    memcpy(head + 3, &len, 4);
    memcpy(head + 7, &position, 8);
    struct iovec parts[] = {{head, sizeof head}, {(void *)name, name_len}, {(void *)data, len}};
    syscall(SYS_writev, record, parts, 3);
}

/* Whether this call is one to fail. */
static int fails(int error, int count) {
    if (!control[error] || !control[count]) return 0;
    if (control[count] > 0) control[count]--;
    errno = control[error];
    return 1;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Writes. */

static ssize_t wrote(const char *name, uint64_t position, const void *bytes, ssize_t count) {
    if (count > 0) note('w', name, position, bytes, count);
    pthread_mutex_unlock(&lock);
    return count;
}

#define PWRITE(function, offset) \
    ssize_t function(int fd, const void *bytes, size_t len, offset at) { \
        REAL(function); \
        char space[PATH_MAX]; \
        const char *name = name_of(fd, space); \
        if (!name) return real(fd, bytes, len, at); \
        if (fails(WRITE_ERROR, WRITES)) return -1; \
        pthread_mutex_lock(&lock); \
        return wrote(name, at, bytes, real(fd, bytes, len, at)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t len) {
    REAL(write);
    char space[PATH_MAX];
    const char *name = name_of(fd, space);
    if (!name) return real(fd, bytes, len);
    if (fails(WRITE_ERROR, WRITES)) return -1;
    pthread_mutex_lock(&lock);
    off_t at = lseek(fd, 0, SEEK_CUR);
    return wrote(name, at, bytes, real(fd, bytes, len));
}

#define READ(function, offset) \
    ssize_t function(int fd, void *bytes, size_t len, offset at) { \
        REAL(function); \
        char space[PATH_MAX]; \
        if (control[READ_ERROR] && name_of(fd, space) && fails(READ_ERROR, READS)) return -1; \
        return real(fd, bytes, len, at); \
    }
READ(pread, off_t)
READ(pread64, off64_t)

ssize_t read(int fd, void *bytes, size_t len) {
    REAL(read);
    char space[PATH_MAX];
    if (control[READ_ERROR] && name_of(fd, space) && fails(READ_ERROR, READS)) return -1;
    return real(fd, bytes, len);
}

#define TRUNCATE(function, offset) \
    int function(int fd, offset size) { \
        REAL(function); \
        char space[PATH_MAX]; \
        const char *name = name_of(fd, space); \
        if (!name) return real(fd, size); \
        if (fails(WRITE_ERROR, WRITES)) return -1; \
        pthread_mutex_lock(&lock); \
        int result = real(fd, size); \
        if (result == 0) note('t', name, size, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* Syncs. */

static int synced(const char *name, int result) {
    int error = errno;
    __sync_fetch_and_add(&control[SYNCING], 1);
    for (int waited = 0; waited < control[SYNC_MS]; waited += 5) {
        struct timespec ms = {0, 5000000};
        nanosleep(&ms, NULL);
    }
    errno = error;
    if (result == 0 && fails(SYNC_ERROR, SYNCS)) result = -1;
    error = errno;
    pthread_mutex_lock(&lock);
    note(result == 0 ? 's' : 'f', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    __sync_fetch_and_sub(&control[SYNCING], 1);
    __sync_fetch_and_add(&control[SYNCED], 1);
    errno = error;
    return result;
}

#define SYNC(function) \
    int function(int fd) { \
        REAL(function); \
        char space[PATH_MAX]; \
        const char *name = name_of(fd, space); \
        return name ? synced(name, real(fd)) : real(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

/* Names. */

static void named(char operation, const char *path, const char *to) {
    char space[PATH_MAX], at[PATH_MAX + NAME_MAX + 2];
    const char *last = strrchr(path, '/');
    if (!folder_len || !last) return;
    snprintf(space, sizeof space, "%.*s", (int)(last - path), path);
    if (!realpath(space, at)) return;
    strcat(at, last);
    const char *name = below(at);
    if (!name) return;
    pthread_mutex_lock(&lock);
    note(operation, name, 0, to, to ? strlen(to) : 0);
    pthread_mutex_unlock(&lock);
}

/* A file is to be made: whether in the folder, or by no name in one that is. */
static void made(const char *path, int flags) {
    char at[PATH_MAX], space[PATH_MAX];
    const char *last = strrchr(path, '/');
    snprintf(space, sizeof space, "%.*s", last ? (int)(last - path) : 1, last ? path : ".");
    const char *of = (flags & __O_TMPFILE) == __O_TMPFILE ? path : last == path ? "/" : space;
    if (outside < 0 || !realpath(of, at)) return;
    if (!strncmp(at, folder, folder_len) && (!at[folder_len] || at[folder_len] == '/')) return;
    struct iovec parts[] = {{(void *)path, strlen(path)}, {(void *)"\n", 1}};
    syscall(SYS_writev, outside, parts, 2);
}

#define OPEN(function) \
    int function(const char *path, int flags, ...) { \
        REAL(function); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        int new = flags & O_CREAT && access(path, F_OK); \
        if (flags & (O_CREAT | __O_TMPFILE)) made(path, flags); \
        int fd = real(path, flags, mode); \
        if (fd >= 0 && new) named('c', path, NULL); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

int unlink(const char *path) {
    REAL(unlink);
    int result = real(path);
    if (result == 0) named('u', path, NULL);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    int result = real(from, to);
    if (result == 0) named('r', from, to);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    int result = real(path, mode);
    if (result == 0) named('d', path, NULL);
    return result;
}

/* What is told. */

/* Whether it leads to a client: what a handler of a signal writes to may not wait for the lock. */
static int to_client(int fd) {
    int family = 0;
    socklen_t len = sizeof family;
    return record >= 0 && !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) && family != AF_UNIX;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags) {
    REAL(send);
    if (!to_client(fd)) return real(fd, bytes, len, flags);
    char name[20];
    snprintf(name, sizeof name, "%d", fd);
    pthread_mutex_lock(&lock);
    ssize_t sent = real(fd, bytes, len, flags);
    if (sent > 0) note('o', name, 0, bytes, sent);
    pthread_mutex_unlock(&lock);
    return sent;
}

ssize_t writev(int fd, const struct iovec *slices, int count) {
    REAL(writev);
    if (!to_client(fd)) return real(fd, slices, count);
    char name[20];
    snprintf(name, sizeof name, "%d", fd);
    pthread_mutex_lock(&lock);
    ssize_t sent = real(fd, slices, count), left = sent;
    for (int at = 0; at < count && left > 0; at++) {
        ssize_t len = slices[at].iov_len < (size_t)left ? (ssize_t)slices[at].iov_len : left;
        note('o', name, 0, slices[at].iov_base, len);
        left -= len;
    }
    pthread_mutex_unlock(&lock);
    return sent;
}
