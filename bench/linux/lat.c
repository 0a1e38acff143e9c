/* SPDX-License-Identifier: MIT */
/*
 * What operations cost inside Linux: the set of lmbench that the SOSP 2003 paper shows. Each
 * row is the median of many, read from the TSC, which under QEMU's -icount shift=0 counts
 * instructions, whoever executes them. One line each: "bench: name value". Marks for
 * tools/plugin/count.c are set round the same operations; "mark: name number operations"
 * tells the row's and how many operations a pass has.
 * Runs in dom0, in a guest and on bare Linux (bench/linux/run); static, so that fork and exec
 * copy little.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "marks.h"

#define MANY 200        /* of what is short */
#define FEW 51          /* of what forks */
#define PAGE 4096

static uint64_t sample[MANY], overhead;
static unsigned row;            /* of what is measured: the number of its mark */

static inline uint64_t tsc(void)
{
    uint64_t t;
    __asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %0" : "=a"(t) :: "rdx", "memory");
    return t;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t median(int n)
{
    qsort(sample, n, sizeof(*sample), by_value);
    return sample[n / 2];
}

static void need(int good, const char *what)
{
    if (!good) {
        printf("bench: FAILED %s\n", what);
        exit(1);
    }
}
#define NEED(c) need(!!(c), #c)

static void new_row(const char *name, int operations)
{
    NEED(++row < MARKS);
    printf("mark: %s %u %d\n", name, row, operations);
}

#define SAMPLE(n, before, op, after)                                              \
    for (int i_ = 0; i_ < (n); i_++) {                                            \
        before;                                                                   \
        mark_begin(row);                                             \
        uint64_t t_ = tsc();                                                      \
        op;                                                                       \
        sample[i_] = tsc() - t_;                                                  \
        mark_end(row);                                               \
        after;                                                                    \
    }
#define ROW3(name, n, before, op, after)                                          \
    do {                                                                          \
        new_row(name, 1);                                                         \
        SAMPLE(n, before, op, after)                                              \
        printf("bench: %s %lu\n", name, median(n) - overhead);                    \
    } while (0)
#define ROW(name, n, op) ROW3(name, n, (void)0, op, (void)0)

/* --- processes --- */
static void on_signal(int sig) { (void)sig; }

/* Over the store that the page's protection refuses (3 bytes), as if it had been done. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3;
}

static void spawn(char *const argv[])
{
    int status;
    pid_t child = fork();
    NEED(child >= 0);
    if (!child) {
        if (argv) {
            execv(argv[0], argv);
            _exit(9);
        }
        _exit(0);
    }
    NEED(waitpid(child, &status, 0) == child && status == 0);
}

/* A connection over the loopback interface: v[0] and v[1] are its ends. */
static void tcp_pair(int v[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    NEED(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 1) == 0 && getsockname(l, (void *)&a, &len) == 0);
    v[0] = socket(AF_INET, SOCK_STREAM, 0);
    NEED(connect(v[0], (void *)&a, sizeof(a)) == 0);
    v[1] = accept(l, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        NEED(setsockopt(v[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    }
    close(l);
}

static void udp_pair(int v[2])
{
    struct sockaddr_in a[2];
    socklen_t len = sizeof(a[0]);
    for (int i = 0; i < 2; i++) {
        a[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        v[i] = socket(AF_INET, SOCK_DGRAM, 0);
        NEED(bind(v[i], (void *)&a[i], sizeof(a[i])) == 0 && getsockname(v[i], (void *)&a[i], &len) == 0);
    }
    NEED(connect(v[0], (void *)&a[1], len) == 0 && connect(v[1], (void *)&a[0], len) == 0);
}

static void processes(char *self)
{
    char byte = 0;
    struct stat st;
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    ROW("null_call", MANY, syscall(SYS_getppid));
    ROW("null_read", MANY, read(zero, &byte, 1));
    ROW("null_write", MANY, write(null, &byte, 1));
    ROW("stat", MANY, stat("/dev/null", &st));
    ROW("open_close", MANY, close(open("/dev/null", O_RDONLY)));

    int v[2], top = 0;
    tcp_pair(v);
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < 100; i++) {
        int fd = dup(v[1]);
        FD_SET(fd, &set);
        top = fd;
    }
    fd_set got;
    struct timeval now = { 0, 0 };
    ROW3("select_100_tcp", MANY, got = set, select(top + 1, &got, NULL, NULL, &now), (void)0);
    for (int i = v[0]; i <= top; i++) {
        close(i);
    }

    struct sigaction act = { .sa_handler = on_signal };
    ROW("signal_install", MANY, sigaction(SIGUSR1, &act, NULL));
    pid_t me = getpid();
    ROW("signal_handle", MANY, kill(me, SIGUSR1));
    fflush(stdout);
    ROW("fork_exit", FEW, spawn(NULL));
    char *hello[] = { self, "hello", NULL }, *sh[] = { "/bin/sh", "-c", NULL, NULL };
    char line[300];
    snprintf(line, sizeof(line), "%s hello; :", self);     /* more than one: sh forks for the first */
    sh[2] = line;
    ROW("fork_exec", FEW, spawn(hello));
    ROW("fork_sh", FEW, spawn(sh));
}

/* --- context switches and latencies --- */
/* Each process reads a token from its pipe and passes it on. lmbench lets it touch an array in
 * between, for the caches; a count of instructions does not see them. */
#define RING 16

static void pass(int from, int to)
{
    char token;
    NEED(read(from, &token, 1) == 1 && write(to, &token, 1) == 1);
}

/* Per switch: a turn round the ring, less what the passing costs a process on its own. */
static void ring(const char *name, int n)
{
    int p[RING][2], own[2];
    pid_t child[RING];
    NEED(pipe(own) == 0 && write(own[1], "", 1) == 1);
    unsigned last = row;
    row = 0;
    SAMPLE(MANY, (void)0, pass(own[0], own[1]), (void)0)
    row = last;
    uint64_t alone = median(MANY) - overhead;
    for (int i = 0; i < n; i++) {
        NEED(pipe(p[i]) == 0);
    }
    for (int i = 1; i < n; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        while (!child[i]) {
            pass(p[i][0], p[(i + 1) % n][1]);
        }
    }
    NEED(write(p[1][1], "", 1) == 1);
    for (int i = 0; i < 5; i++) {
        pass(p[0][0], p[1][1]);
    }
    new_row(name, n);
    SAMPLE(MANY, (void)0, pass(p[0][0], p[1][1]), (void)0)
    printf("bench: %s %lu\n", name, (median(MANY) - overhead) / n - alone);
    for (int i = 1; i < n; i++) {
        kill(child[i], SIGKILL);
        waitpid(child[i], NULL, 0);
    }
    for (int i = 0; i < n; i++) {
        close(p[i][0]), close(p[i][1]);
    }
    close(own[0]), close(own[1]);
}

/* The round trip of a byte to another process and back. */
static void round_trip(const char *name, int a_in, int a_out, int b_in, int b_out)
{
    char c = 0;
    pid_t child = fork();
    NEED(child >= 0);
    if (!child) {
        while (read(b_in, &c, 1) == 1 && write(b_out, &c, 1) == 1) {
        }
        _exit(0);
    }
    for (int i = 0; i < 5; i++) {
        NEED(write(a_out, &c, 1) == 1 && read(a_in, &c, 1) == 1);
    }
    ROW(name, MANY, NEED(write(a_out, &c, 1) == 1 && read(a_in, &c, 1) == 1));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void switches(void)
{
    int v[2], w[2];
    ring("ctx_2p", 2);
    ring("ctx_8p", 8);
    ring("ctx_16p", 16);
    NEED(pipe(v) == 0 && pipe(w) == 0);
    round_trip("pipe_round_trip", v[0], w[1], w[0], v[1]);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, v) == 0);
    round_trip("unix_round_trip", v[0], v[0], v[1], v[1]);
    udp_pair(v);
    round_trip("udp_round_trip", v[0], v[0], v[1], v[1]);
    tcp_pair(v);
    round_trip("tcp_round_trip", v[0], v[0], v[1], v[1]);
}

/* --- files and memory (the root is a RAM file system) --- */
static void make_file(const char *path, size_t size)
{
    static char data[10240];
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    NEED(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

#define AREA (1024 * 1024)
static void touch(volatile uint8_t *p, size_t step)
{
    for (size_t i = 0; i < AREA; i += step) {
        (void)p[i];
    }
}

static void memory(void)
{
    make_file("/file", 0);
    ROW3("create_0k", FEW, unlink("/file"), make_file("/file", 0), (void)0);
    ROW3("delete_0k", FEW, make_file("/file", 0), unlink("/file"), (void)0);
    ROW3("create_10k", FEW, unlink("/file"), make_file("/file", 10240), (void)0);
    ROW3("delete_10k", FEW, make_file("/file", 10240), unlink("/file"), (void)0);

    int fd = open("/area", O_CREAT | O_RDWR, 0600);
    for (size_t i = 0; i < AREA; i += PAGE) {
        static char data[PAGE];
        NEED(write(fd, data, PAGE) == PAGE);
    }
    uint8_t *p;
#define MAP() p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    ROW("mmap_1m_file", FEW, MAP(); touch(p, PAGE); munmap(p, AREA));
    size_t at = 0;
    MAP();
    madvise(p, AREA, MADV_RANDOM);
    ROW3("page_fault_file", AREA / 65536, (void)0, (void)*(volatile uint8_t *)(p + at), at += 65536);
    munmap(p, AREA);
#define ANON() p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    ANON();
    madvise(p, AREA, MADV_NOHUGEPAGE);
    at = 0;
    ROW3("page_fault_anon", MANY, (void)0, *(volatile uint8_t *)(p + at) = 1, at += PAGE);
    ROW3("munmap_1m", FEW, ANON(); madvise(p, AREA, MADV_NOHUGEPAGE); memset(p, 1, AREA), munmap(p, AREA), (void)0);

    ANON();
    *p = 1;
    int flip = 0;
    ROW3("mprotect_page", MANY, flip ^= PROT_WRITE, mprotect(p, PAGE, PROT_READ | flip), (void)0);
    mprotect(p, PAGE, PROT_READ);
    struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &act, NULL);
    ROW("prot_fault", MANY, __asm__ volatile("movb $0, (%0)" :: "a"(p) : "memory"));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "hello")) {
        return 0;
    }
    if (getpid() == 1) {                /* as a kernel's init: the end of its start */
        MARK_END(MARK_UP);
        printf("bench: userspace %lu\n", tsc());
        fflush(stdout);
        execv("/script", argv);
        need(0, "/script");
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    SAMPLE(MANY, (void)0, (void)0, (void)0)     /* mark 0 is nobody's */
    overhead = median(MANY);
    row = argc > 1 ? (unsigned)atoi(argv[1]) : MARK_LAT;
    processes(argv[0]);
    switches();
    memory();
    return 0;
}
