// links: hv/lib/xz.c
/* xz_unpack against the host's xz tool: whole, cut short, damaged. */
#include "unit.h"
#include "unpack.h"

#define MAX (1 << 20)

static u8 plain[MAX], packed[MAX * 2], out[MAX + 64];
static size_t plain_len, packed_len;
static unsigned seed = 1;

static unsigned rnd(void)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) & 0xffffff;
}

/* Packs `plain` with the host's tool. */
static bool pack(const char *options)
{
    char cmd[512], in[64], to[64];
    snprintf(in, sizeof(in), "/tmp/unit_xz_%d.in", getpid());
    snprintf(to, sizeof(to), "/tmp/unit_xz_%d.xz", getpid());
    FILE *f = fopen(in, "wb");
    fwrite(plain, 1, plain_len, f);
    fclose(f);
    snprintf(cmd, sizeof(cmd), "xz -T1 --format=xz %s -c %s > %s", options, in, to);
    int rc = system(cmd);
    f = fopen(to, "rb");
    packed_len = f ? fread(packed, 1, sizeof(packed), f) : 0;
    if (f) {
        fclose(f);
    }
    remove(in);
    remove(to);
    CHECK_EQ(rc, 0);
    return rc == 0 && packed_len > 0;
}

/* In its own allocation, so that the sanitizer sees a byte too far on either side.
 * What it says, "" when all went well. */
static const char *unpack(size_t in_len, size_t cap, size_t *len)
{
    u8 *in = malloc(in_len + !in_len), *to = malloc(cap + !cap);
    memcpy(in, packed, in_len);
    const char *why = xz_unpack(in, in_len, to, cap, len);
    CHECK(*len <= cap);
    memcpy(out, to, *len);
    free(in);
    free(to);
    return why ? why : "";
}

static void check_round(const char *options)
{
    size_t len;
    if (!pack(options)) {
        return;
    }
    CHECK_STR(unpack(packed_len, plain_len, &len), "");
    CHECK_EQ(len, plain_len);
    CHECK(memcmp(out, plain, plain_len) == 0);
    CHECK_STR(unpack(packed_len, plain_len + 40, &len), "");
    if (plain_len) {
        CHECK(strstr(unpack(packed_len, plain_len - 1, &len), "more than it claims"));
    }
}

/* Something like code and data: runs, repeats, branches. */
static void make_plain(size_t n, unsigned kind)
{
    plain_len = n;
    for (size_t i = 0; i < n;) {
        unsigned what = kind ? kind : rnd() % 6, run = rnd() % 40 + 1;
        size_t back = i ? rnd() % MIN(i, (size_t)(kind == 5 ? 9 : 5000)) + 1 : 0;
        u8 fill = (u8)rnd();
        for (; run-- && i < n; i++) {
            plain[i] = what == 1 ? (u8)rnd()
                     : what == 2 ? fill
                     : what == 3 ? (u8)"\xe8\xe9\x00\xff\x01\xe8\xfe\x90"[rnd() % 8]
                     : back ? plain[i - back] : (u8)rnd();
        }
    }
}

TEST(sizes_and_kinds)
{
    static const size_t sizes[] = { 0, 1, 4, 5, 6, 100, 4096, 70000, 300000 };
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (unsigned kind = 0; kind < 6; kind++) {
            make_plain(sizes[i], kind);
            check_round("--check=crc32 --x86 --lzma2=dict=1MiB");
        }
    }
}

TEST(options)
{
    static const char *const options[] = {
        "--check=none", "--check=crc32 -0", "--check=crc32 -9e",
        "--check=crc32 --lzma2=lc=0,lp=4,pb=0", "--check=crc32 --lzma2=lc=4,lp=0,pb=4",
        "--check=crc32 --lzma2=lc=1,lp=3,pb=3", "--check=crc32 --lzma2=mode=fast,nice=273",
        "--check=crc32 --block-size=50000", "--check=crc32 --x86 --lzma2=preset=6 --block-size=65536",
        "--check=crc32 --lzma2=dict=4KiB",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        make_plain(200000, 0);
        check_round(options[i]);
    }
}

TEST(long_runs)
{
    plain_len = MAX;
    for (size_t i = 0; i < MAX; i++) {
        plain[i] = i < MAX / 2 ? 0 : (u8)(i % 12 / 4 * 7 + i % 4);
    }
    check_round("--check=crc32 --x86 --lzma2");
}

TEST(refused_kinds)
{
    size_t len;
    make_plain(5000, 0);
    if (pack("--check=crc64")) {
        CHECK(strstr(unpack(packed_len, plain_len, &len), "check other than"));
    }
    if (pack("--check=sha256")) {
        CHECK(strstr(unpack(packed_len, plain_len, &len), "check other than"));
    }
    if (pack("--check=crc32 --delta=dist=4 --lzma2")) {
        CHECK(strstr(unpack(packed_len, plain_len, &len), "filter"));
    }
    if (pack("--check=crc32 --arm --lzma2")) {
        CHECK(strstr(unpack(packed_len, plain_len, &len), "filter"));
    }
    memset(packed, 0x55, 100);
    CHECK(strstr(unpack(100, plain_len, &len), "no xz file"));
    CHECK(strstr(unpack(0, plain_len, &len), "cut short"));
}

TEST(cut_short)
{
    size_t len;
    make_plain(3000, 0);
    if (!pack("--check=crc32 --x86 --lzma2")) {
        return;
    }
    for (size_t n = 0; n < packed_len; n++) {
        CHECK(strstr(unpack(n, plain_len, &len), "cut short"));
    }
}

TEST(damaged)
{
    size_t len;
    for (unsigned round = 0; round < 6; round++) {
        make_plain(2000 + round * 9000, round % 6);
        if (!pack(round & 1 ? "--check=none --x86 --lzma2" : "--check=crc32 --x86 --lzma2")) {
            return;
        }
        for (unsigned i = 0; i < 3000; i++) {
            size_t at = rnd() % packed_len;
            u8 old = packed[at];
            packed[at] ^= (u8)(1 << rnd() % 8);
            bool good = !*unpack(packed_len, plain_len + rnd() % 64, &len);
            /* Without a check a changed literal goes unseen; nothing else does. */
            CHECK(!good || round & 1);
            packed[at] = old;
        }
    }
}

TEST(wild_chunks)
{
    /* A right header, then rubbish: only memory safety is asked. */
    size_t len;
    make_plain(100, 1);
    if (!pack("--check=none --lzma2=dict=4KiB")) {
        return;
    }
    for (unsigned i = 0; i < 20000; i++) {
        for (size_t k = 24; k < 400; k++) {
            packed[k] = (u8)rnd();
        }
        packed[24] = i & 1 ? 0xe0 : 0x01;
        packed[25] = 0;
        packed[26] = (u8)rnd();
        packed[27] = 0;
        packed[29] = i & 1 ? 0x5d : packed[29];
        packed[30] = 0;
        unpack(400, 300, &len);
    }
}
