/* Preloaded into a PostgreSQL server: makes a disk slow, and forgetful when its power is cut.
 *
 * WAL_DELAY_US: every sync of a WAL segment takes so many microseconds longer.
 * WAL_UNDO: a file that gets, before each write to a segment, what stood there ('w'), and after
 * each sync that it was synced ('s'). Whoever takes back every 'w' that no 's' of its segment
 * follows, the last first, has the disk as a power cut would have left it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NAME = 24 };  /* letters in the name of a segment */

struct entry {
    char kind;
    char name[NAME + 7];
    long long offset, length;
};

static long delay_us;
static char *undo;

__attribute__((constructor)) static void begin(void) {
    const char *delay = getenv("WAL_DELAY_US");
    delay_us = delay ? atol(delay) : 0;
    /* Copied: the server writes its title for ps over its environment. */
    undo = getenv("WAL_UNDO");
    undo = undo ? strdup(undo) : NULL;
}

/* The name of the segment that is open, or nothing. */
static int segment(int file, char *name) {
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < NAME + 8) return 0;
    path[length] = 0;
    const char *last = path + length - NAME;
    if (memcmp(last - 8, "/pg_wal/", 8)) return 0;
    for (int at = 0; at < NAME; at++)
        if (!isxdigit((unsigned char)last[at])) return 0;
    memcpy(name, last, NAME + 1);
    return 1;
}

/* What cannot be noted would be taken for synced: the drill ends here. */
static void fail(const char *what) {
    perror(what);
    abort();
}

static void note(struct entry *entry, char *before) {
    /* Opened anew for each: a forked backend must not share what another may close. */
    int log = open(undo, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    struct iovec parts[2] = {{entry, sizeof *entry}, {before, (size_t)entry->length}};
    if (log < 0 || writev(log, parts, before ? 2 : 1) < 0) fail("note");
    close(log);
}

static void keep(int file, size_t length, off_t offset) {
    struct entry entry = {.kind = 'w', .offset = offset, .length = (long long)length};
    if (!undo || !segment(file, entry.name)) return;
    char link[64], *before = calloc(1, length);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int reader = open(link, O_RDONLY | O_CLOEXEC);
    if (!before || reader < 0 || pread(reader, before, length, offset) < 0) fail("read");
    close(reader);
    note(&entry, before);
    free(before);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void *data, size_t length, off_t offset) {
    keep(file, length, offset);
    return REAL(pwrite)(file, data, length, offset);
}

ssize_t pwrite64(int file, const void *data, size_t length, off_t offset) {
    keep(file, length, offset);
    return REAL(pwrite64)(file, data, length, offset);
}

static size_t total(const struct iovec *parts, int count) {
    size_t length = 0;
    while (count--) length += parts[count].iov_len;
    return length;
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
    keep(file, total(parts, count), offset);
    return REAL(pwritev)(file, parts, count, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t offset) {
    keep(file, total(parts, count), offset);
    return REAL(pwritev64)(file, parts, count, offset);
}

static int synced(int file, int (*real)(int)) {
    struct entry entry = {.kind = 's'};
    if (!segment(file, entry.name)) return real(file);
    struct timespec pause = {delay_us / 1000000, delay_us % 1000000 * 1000};
    if (delay_us) nanosleep(&pause, NULL);
    int result = real(file);
    if (undo && result == 0) note(&entry, NULL);
    return result;
}

int fdatasync(int file) { return synced(file, REAL(fdatasync)); }

int fsync(int file) { return synced(file, REAL(fsync)); }
