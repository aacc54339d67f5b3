/* Loaded into Salon by LD_PRELOAD: sockets give and take one byte a call, and every third call is interrupted (EINTR).
 *
 * A kernel that takes less than it is offered tells the poller when there is room again; so does this, by watching the
 * descriptor anew. With SLICES_MARK set, a file of that name says that something was cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096 };
static struct watched { int poller; struct epoll_event event; char is_watched; } watched[DESCRIPTORS];
static __thread unsigned calls;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

int epoll_ctl(int poller, int operation, int fd, struct epoll_event *event) {
    static int (*real)(int, int, int, struct epoll_event *);
    if (!real) real = next("epoll_ctl");
    int result = real(poller, operation, fd, event);
    if (result == 0 && fd >= 0 && fd < DESCRIPTORS) {
        watched[fd].is_watched = operation != EPOLL_CTL_DEL && event;
        if (watched[fd].is_watched) { watched[fd].poller = poller; watched[fd].event = *event; }
    }
    return result;
}

/* Whether this call is one to be interrupted. */
static int interrupted(void) {
    if (++calls % 3 == 0) { errno = EINTR; return 1; }
    return 0;
}

/* There is more: the poller is to say so again. */
static void cut(int fd) {
    static char marked;
    const char *mark = getenv("SLICES_MARK");
    if (mark && !marked) { marked = 1; close(open(mark, O_CREAT | O_WRONLY, 0600)); }
    if (fd < DESCRIPTORS && watched[fd].is_watched) {
        int before = errno;
        epoll_ctl(watched[fd].poller, EPOLL_CTL_MOD, fd, &watched[fd].event);
        errno = before;
    }
}

ssize_t send(int fd, const void *bytes, size_t len, int flags) {
    static ssize_t (*real)(int, const void *, size_t, int);
    if (!real) real = next("send");
    if (interrupted()) return -1;
    ssize_t sent = real(fd, bytes, len ? 1 : 0, flags);
    if (sent == 1 && len > 1) cut(fd);
    return sent;
}

ssize_t recv(int fd, void *bytes, size_t len, int flags) {
    static ssize_t (*real)(int, void *, size_t, int);
    if (!real) real = next("recv");
    if (interrupted()) return -1;
    ssize_t got = real(fd, bytes, len ? 1 : 0, flags);
    if (got == 1 && len > 1) cut(fd);
    return got;
}

ssize_t writev(int fd, const struct iovec *slices, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real) real = next("writev");
    if (fd >= DESCRIPTORS || fd < 0 || !watched[fd].is_watched) return real(fd, slices, count);
    for (int at = 0; at < count; at++)
        if (slices[at].iov_len) return send(fd, slices[at].iov_base, slices[at].iov_len + (at + 1 < count), MSG_NOSIGNAL);
    return 0;
}
