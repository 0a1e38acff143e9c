/* SPDX-License-Identifier: MIT */
/*
 * What I/O and a guest's life cost, counted by tools/plugin/count.c between marks. A line
 * "mark: name number operations" tells which mark a row has and how many operations all its
 * passes have.
 *
 *   io disk DEVICE          reads and writes it, past the page cache
 *   io serve                the other side of `net`: counts packets and answers
 *   io net ADDRESS          exchanges packets with `io serve` there
 *   io count NAME NUMBER COMMAND...     runs it between two marks
 *   io create COMMAND...    begins MARK_CREATE and MARK_UP, which a guest ends, and runs it
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "marks.h"

static void need(int good, const char *what)
{
    if (!good) {
        printf("bench: FAILED %s\n", what);
        fflush(stdout);
        perror(what);
        exit(1);
    }
}
#define NEED(c) need(!!(c), #c)

static unsigned mark;

#define ROW(name, times, operations, pass)                                        \
    do {                                                                          \
        pass;       /* once for the caches */                                     \
        for (int i_ = 0; i_ < (times); i_++) {                                    \
            mark_begin(mark);                                                     \
            pass;                                                                 \
            mark_end(mark);                                                       \
        }                                                                         \
        printf("mark: %s %u %d\n", name, mark++, (operations) * (times));                    \
    } while (0)

/* --- disk --- */
#define BLOCK 4096
#define LARGE (1024 * 1024)
#define BLOCKS 64           /* in a pass */

static uint32_t random_state = 1;
static uint32_t next_random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static void random_blocks(int fd, char *to, uint64_t size, int write)
{
    for (int i = 0; i < BLOCKS; i++) {
        off_t at = (off_t)(next_random() % (size / BLOCK)) * BLOCK;
        NEED((write ? pwrite(fd, to, BLOCK, at) : pread(fd, to, BLOCK, at)) == BLOCK);
    }
}

static void sequential(int fd, char *to, int write)
{
    for (int i = 0; i < 8; i++) {
        NEED((write ? pwrite(fd, to, LARGE, (off_t)i * LARGE) : pread(fd, to, LARGE, (off_t)i * LARGE)) == LARGE);
    }
}

static void disk(const char *path)
{
    int fd = open(path, O_RDWR | O_DIRECT);
    uint64_t size = 0;
    NEED(fd >= 0 && ioctl(fd, BLKGETSIZE64, &size) == 0 && size >= 8 * LARGE);
    char *to = aligned_alloc(BLOCK, LARGE);
    memset(to, 7, LARGE);
    sequential(fd, to, 1);      /* the RAM disk's pages come into being */
    sequential(fd, to, 0);
    size = 8 * LARGE;
    ROW("read_4k", 8, BLOCKS, random_blocks(fd, to, size, 0));
    ROW("write_4k", 8, BLOCKS, random_blocks(fd, to, size, 1));
    ROW("read_1m", 8, 8, sequential(fd, to, 0));
    ROW("write_1m", 8, 8, sequential(fd, to, 1));
}

/* --- network --- */
#define PORT 4711
#define SMALL 22            /* the payload of a frame of 64 bytes */
#define PACKETS 64
#define CHUNK 65536
#define CHUNKS 16

/* What the frontend's side asks of the other, over TCP: to take or send so many. */
enum what { DATAGRAMS_TO_YOU, DATAGRAMS_TO_ME, THERE_AND_BACK, STREAM_TO_YOU, STREAM_TO_ME };
struct order { uint32_t what, count; };

static void all(ssize_t (*step)(int, void *, size_t), int fd, char *buf, size_t size)
{
    while (size) {
        ssize_t n = step(fd, buf, size);
        NEED(n > 0);
        buf += n, size -= (size_t)n;
    }
}
static ssize_t take(int fd, void *buf, size_t size) { return read(fd, buf, size); }
static ssize_t give(int fd, void *buf, size_t size) { return write(fd, buf, size); }

static struct sockaddr_in any_address(const char *address)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    NEED(!address || inet_aton(address, &a.sin_addr));
    return a;
}

static char chunk[CHUNK];

static void serve(void)
{
    struct sockaddr_in a = any_address(NULL), from;
    socklen_t len = sizeof(from);
    int udp = socket(AF_INET, SOCK_DGRAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    NEED(bind(udp, (void *)&a, sizeof(a)) == 0);
    NEED(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    NEED(bind(listener, (void *)&a, sizeof(a)) == 0 && listen(listener, 1) == 0);
    struct order o;
    if (fork()) {
        exit(0);        /* ready: who started us may go on */
    }
    int tcp = accept(listener, NULL, NULL);
    NEED(tcp >= 0 && setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    /* The first datagram tells where the others go. */
    NEED(recvfrom(udp, chunk, SMALL, 0, (void *)&from, &len) > 0 && connect(udp, (void *)&from, len) == 0);
    NEED(send(udp, chunk, SMALL, 0) == SMALL);
    for (;;) {
        if (read(tcp, &o, sizeof(o)) != sizeof(o)) {
            exit(0);
        }
        for (uint32_t i = 0; i < o.count; i++) {
            if (o.what == DATAGRAMS_TO_YOU || o.what == THERE_AND_BACK) {
                NEED(recv(udp, chunk, SMALL, 0) == SMALL);
            }
            if (o.what == DATAGRAMS_TO_ME || o.what == THERE_AND_BACK) {
                NEED(send(udp, chunk, SMALL, 0) == SMALL);
            }
            if (o.what == STREAM_TO_YOU) {
                all(take, tcp, chunk, CHUNK);
            } else if (o.what == STREAM_TO_ME) {
                all(give, tcp, chunk, CHUNK);
            }
        }
        if (o.what == DATAGRAMS_TO_YOU || o.what == STREAM_TO_YOU) {
            NEED(write(tcp, &o, sizeof(o)) == sizeof(o));
        }
    }
}

static void exchange(int tcp, int udp, enum what what, uint32_t count)
{
    struct order o = { what, count };
    NEED(write(tcp, &o, sizeof(o)) == sizeof(o));
    for (uint32_t i = 0; i < count; i++) {
        if (what == DATAGRAMS_TO_YOU || what == THERE_AND_BACK) {
            NEED(send(udp, chunk, SMALL, 0) == SMALL);
        }
        if (what == DATAGRAMS_TO_ME || what == THERE_AND_BACK) {
            NEED(recv(udp, chunk, SMALL, 0) == SMALL);
        }
        if (what == STREAM_TO_YOU) {
            all(give, tcp, chunk, CHUNK);
        } else if (what == STREAM_TO_ME) {
            all(take, tcp, chunk, CHUNK);
        }
    }
    if (what == DATAGRAMS_TO_YOU || what == STREAM_TO_YOU) {
        NEED(read(tcp, &o, sizeof(o)) == sizeof(o));
    }
}

static void net(const char *address)
{
    struct sockaddr_in a = any_address(address);
    int udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    NEED(connect(tcp, (void *)&a, sizeof(a)) == 0 && connect(udp, (void *)&a, sizeof(a)) == 0);
    NEED(setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    NEED(send(udp, chunk, SMALL, 0) == SMALL && recv(udp, chunk, SMALL, 0) == SMALL);
    ROW("net_64_to_backend", 8, PACKETS, exchange(tcp, udp, DATAGRAMS_TO_YOU, PACKETS));
    ROW("net_64_to_guest", 8, PACKETS, exchange(tcp, udp, DATAGRAMS_TO_ME, PACKETS));
    ROW("net_64_round_trip", 8, PACKETS, exchange(tcp, udp, THERE_AND_BACK, PACKETS));
    for (int i = 0; i < 20; i++) {      /* until TCP's windows are as large as they get */
        exchange(tcp, udp, STREAM_TO_YOU, CHUNKS);
        exchange(tcp, udp, STREAM_TO_ME, CHUNKS);
    }
    ROW("net_64k_to_backend", 8, CHUNKS, exchange(tcp, udp, STREAM_TO_YOU, CHUNKS));
    ROW("net_64k_to_guest", 8, CHUNKS, exchange(tcp, udp, STREAM_TO_ME, CHUNKS));
}

/* --- commands --- */
static void run(char **argv)
{
    int status;
    pid_t child = fork();
    NEED(child >= 0);
    if (!child) {
        execvp(argv[0], argv);
        _exit(127);
    }
    NEED(waitpid(child, &status, 0) == child);
    need(status == 0, argv[0]);
}

int main(int argc, char **argv)
{
    NEED(argc > 1);
    const char *what = argv[1];
    if (!strcmp(what, "disk") && argc == 3) {
        mark = MARK_DISK;
        disk(argv[2]);
    } else if (!strcmp(what, "serve")) {
        serve();
    } else if (!strcmp(what, "net") && argc == 3) {
        mark = MARK_NET;
        net(argv[2]);
    } else if (!strcmp(what, "create") && argc > 2) {
        MARK_BEGIN(MARK_CREATE);
        MARK_BEGIN(MARK_UP);
        run(argv + 2);
    } else if (!strcmp(what, "count") && argc > 4) {
        unsigned n = (unsigned)atoi(argv[3]);
        NEED(n < MARK_DISK);
        mark_begin(n);
        run(argv + 4);
        mark_end(n);
        printf("mark: %s %u 1\n", argv[2], n);
    } else {
        NEED(!"known command");
    }
    return 0;
}
