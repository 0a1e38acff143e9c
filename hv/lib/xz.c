/* SPDX-License-Identifier: MIT */
/*
 * An unpacker for .xz files (LZMA2, optionally behind the x86 filter, check none or
 * CRC32: what Linux's build makes of a kernel), from one buffer into another. The
 * output is its own dictionary. Hostile input: nothing is read outside `in` or
 * written outside `out`.
 *
 * It is written for few instructions, since unpacking dom0's kernel is most of the
 * boot: the range decoder's state lives in locals, the adaption of a probability is a
 * table look-up, all tables hang off one base register, and the input is checked once
 * for each symbol, not for each byte.
 *
 * Owns one static `struct lzma`; only the boot CPU calls it, so there is no lock.
 * Formats: "The .xz File Format" 1.1.0 and the LZMA specification of the LZMA SDK.
 */
#include "unpack.h"

#define PROB_BITS   11
#define PROB_COUNT  (1u << PROB_BITS)
#define PROB_SHIFT  5
#define TOP         (1u << 24)
#define STATES      12
#define POS_STATES  16
#define LIT_STATES  7           /* states below: the last symbol was a literal */
#define MATCH_MIN   2
/* Most input that one symbol can take: 22 adaptive bits of at most 6.05 bits each,
 * 26 direct ones, rounded up. */
#define SYMBOL_MAX  21

/* Decoder of a length. */
struct length { u16 choice, choice2, low[POS_STATES][8], mid[POS_STATES][8], high[256]; };

struct lzma {
    u16 next[2][PROB_COUNT];    /* probability after a 0, after a 1 */
    struct probs {
        u16 is_match[STATES][POS_STATES], is_rep0_long[STATES][POS_STATES];
        u16 is_rep[STATES], is_rep0[STATES], is_rep1[STATES], is_rep2[STATES];
        u16 slot[4][64];
        u16 special[128];       /* distance slots 4..13, at 2^n - slot */
        u16 align[16];
        struct length match, rep;
        u16 literal[16][0x300];
    } p;
    u32 rep0, rep1, rep2, rep3, state, lc, lp_mask, pb_mask;
};

static struct lzma lzma;
static u32 crc_table[256];

/* State after a literal, by state before. */
static const u8 after_literal[STATES] = { 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5 };

static void tables_init(void)
{
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (unsigned k = 0; k < 8; k++)
            c = (c >> 1) ^ (0xedb88320u & -(c & 1));
        crc_table[i] = c;
    }
    for (u32 i = 0; i < PROB_COUNT; i++) {
        lzma.next[0][i] = (u16)(i + ((PROB_COUNT - i) >> PROB_SHIFT));
        lzma.next[1][i] = (u16)(i - (i >> PROB_SHIFT));
    }
}

static inline u64 load64(const u8 *p) { u64 v; __builtin_memcpy(&v, p, 8); return v; }
static inline void store32(u8 *p, u32 v) { __builtin_memcpy(p, &v, 4); }
static inline void store64(u8 *p, u64 v) { __builtin_memcpy(p, &v, 8); }

/* Continues a CRC (before the final complement) over n bytes, byte by byte. */
static u32 crc32_bytes(u32 c, const u8 *p, size_t n)
{
    for (; n; n--, p++)
        c = (c >> 8) ^ crc_table[(c ^ *p) & 0xff];
    return c;
}

/*
 * Long data, eight bytes in nine instructions or so. With y = x^64, the polynomial
 * y^300 + y^155 + y^117 + y^89 + 1 is a multiple of the CRC's (since x^300 + ... + 1 is,
 * and squaring six times keeps it one). So a word may be struck out when it is added
 * to the words 145, 183, 211 and 300 further on. At last 300 words are left, with the
 * CRC of the whole.
 */
#define CRC_SPAN  300UL
#define CRC_CHUNK 2048UL

static u32 crc32(const u8 *p, size_t n)
{
    static u64 ring[CRC_SPAN + CRC_CHUNK];      /* what is to be added to the words to come */
    u32 c = ~0u;
    if (n / 8 > CRC_SPAN) {
        memset(ring, 0, CRC_SPAN * 8);
        ring[0] = c;
        for (size_t strike = n / 8 - CRC_SPAN, count; strike; strike -= count) {
            count = MIN(strike, CRC_CHUNK);
            for (u64 *w = ring; w < ring + count; w++, p += 8) {
                u64 word = load64(p) ^ w[0];
                w[145] ^= word;
                w[183] ^= word;
                w[211] ^= word;
                w[300] = word;
            }
            memmove(ring, ring + count, CRC_SPAN * 8);
        }
        for (u64 *w = ring; w < ring + CRC_SPAN; w++, p += 8)
            *w ^= load64(p);
        c = crc32_bytes(0, (const u8 *)ring, CRC_SPAN * 8);
        n %= 8;
    }
    return ~crc32_bytes(c, p, n);
}

/* --- the range decoder: macros over the locals range, code, in, s ------------- */

#define NORMALIZE()                                                               \
    if (unlikely(range < TOP)) {                                                  \
        range <<= 8;                                                              \
        code = (code << 8) | *in++;                                               \
    }

/* Decodes one bit with the probability `pr`; then one of the two statements. A bare
 * block, so that `continue` in a statement means the loop around it. `pr` is evaluated
 * more than once: no side effects. */
#define BIT(pr, on_zero, on_one)                                                  \
    {                                                                             \
        NORMALIZE();                                                              \
        u64 p_ = (pr);                                                            \
        u32 bound_ = (range >> PROB_BITS) * (u32)p_;                              \
        if (code < bound_) {                                                      \
            range = bound_;                                                       \
            (pr) = s->next[0][p_];                                                 \
            on_zero;                                                              \
        } else {                                                                  \
            range -= bound_;                                                      \
            code -= bound_;                                                       \
            (pr) = s->next[1][p_];                                                 \
            on_one;                                                               \
        }                                                                         \
    }

// NOLINTNEXTLINE(bugprone-macro-parentheses): statements
#define TREE_BIT(tree, sym) BIT((tree)[sym], sym += sym, sym += sym + 1)

/* One bit of a literal after a match: off is 0x100 when the match has a 1 there. */
#define MATCHED_BIT()                                                             \
    match += match;                                                               \
    off = match & 0x100;                                                          \
    BIT(lit[0x100 + off + sym], { sym += sym; if (off) goto differs; },           \
        { sym += sym + 1; if (!off) goto differs; })

/* Writes len bytes from `dist` bytes back; `room` is the distance from dst to the end
 * of the buffer: as long as there is some, eight bytes at a time may overshoot. Is the
 * source nearer than that, once eight are written a multiple of its period is not. */
static inline void copy_match(u8 *dst, size_t dist, size_t len, size_t room)
{
    static const u8 far[8] = { 0, 8, 8, 9, 8, 10, 12, 14 };
    const u8 *src = dst - dist;
    u8 *end = dst + len;
    if (unlikely(dist < 8 || room < len + 8)) {
        u8 *slow_end = room < len + 8 || len <= 8 ? end : dst + 8;
        do {
            *dst++ = *src++;
        } while (dst < slow_end);
        if (dst == end)
            return;
        src = dst - far[dist];
    }
    do {
        store64(dst, load64(src));
        dst += 8;
        src += 8;
    } while (dst < end);
}

/*
 * One LZMA chunk: in[0..in_len) to out[*pos..*pos + out_len). `start` is where the
 * dictionary begins, out + cap where the buffer ends. SYMBOL_MAX bytes behind the
 * chunk are readable. True: well formed.
 */
// NOLINTNEXTLINE(readability-function-size,readability-function-cognitive-complexity): the hot loop
static NOINLINE bool lzma_chunk(struct lzma *s, const u8 *in, size_t in_len, const u8 *start, u8 *dst,
                       size_t out_len, const u8 *cap)
{
    const u8 *in_end = in + in_len;
    u8 *end = dst + out_len;
    u32 rep0 = s->rep0, rep1 = s->rep1, rep2 = s->rep2, rep3 = s->rep3;
    u64 state = s->state;
    const u32 lc = s->lc, lp_mask = s->lp_mask, pb_mask = s->pb_mask;
    struct probs *p = &s->p;

    if (in_len < 5 || *in++ != 0)
        return false;
    u32 range = 0xffffffff, code = __builtin_bswap32(load32(in));
    in += 4;
    while (dst < end) {
        if (unlikely(in > in_end))
            return false;
        u32 pos = (u32)(dst - start);
        u64 pos_state = pos & pb_mask, len;
        struct length *lengths;

        BIT(p->is_match[state][pos_state], {
            u32 prev = dst > start ? dst[-1] : 0;
            u16 *lit = p->literal[((pos & lp_mask) << lc) + (prev >> (8 - lc))];
            u64 sym = 1;
            if (state >= LIT_STATES) {
                /* Follow the byte that would have gone on with the match, as long
                 * as the bits agree. */
                u64 match = dst[-(s64)rep0 - 1];
                u64 off;
                MATCHED_BIT(); MATCHED_BIT(); MATCHED_BIT(); MATCHED_BIT();
                MATCHED_BIT(); MATCHED_BIT(); MATCHED_BIT(); MATCHED_BIT();
            differs:
                while (sym < 0x100)
                    TREE_BIT(lit, sym);
            } else {
                TREE_BIT(lit, sym); TREE_BIT(lit, sym); TREE_BIT(lit, sym); TREE_BIT(lit, sym);
                TREE_BIT(lit, sym); TREE_BIT(lit, sym); TREE_BIT(lit, sym); TREE_BIT(lit, sym);
            }
            *dst++ = (u8)sym;
            state = after_literal[state];
            continue;
        }, );

        BIT(p->is_rep[state], {
            rep3 = rep2;
            rep2 = rep1;
            rep1 = rep0;
            state = state < LIT_STATES ? 7 : 10;
            lengths = &p->match;
        }, {
            BIT(p->is_rep0[state], {
                BIT(p->is_rep0_long[state][pos_state], {
                    if (unlikely(rep0 >= (size_t)(dst - start)))
                        return false;
                    *dst = dst[-(s64)rep0 - 1];
                    dst++;
                    state = state < LIT_STATES ? 9 : 11;
                    continue;
                }, );
            }, {
                u32 dist;
                BIT(p->is_rep1[state], { dist = rep1; }, {
                    BIT(p->is_rep2[state], { dist = rep2; }, { dist = rep3; rep3 = rep2; });
                    rep2 = rep1;
                });
                rep1 = rep0;
                rep0 = dist;
            });
            state = state < LIT_STATES ? 8 : 11;
            lengths = &p->rep;
        });

        u64 sym = 1;
        BIT(lengths->choice, {
            u16 *tree = lengths->low[pos_state];
            TREE_BIT(tree, sym); TREE_BIT(tree, sym); TREE_BIT(tree, sym);
            len = sym - 8 + MATCH_MIN;
        }, {
            BIT(lengths->choice2, {
                u16 *tree = lengths->mid[pos_state];
                TREE_BIT(tree, sym); TREE_BIT(tree, sym); TREE_BIT(tree, sym);
                len = sym + MATCH_MIN;
            }, {
                while (sym < 0x100)
                    TREE_BIT(lengths->high, sym);
                len = sym - 0x100 + 16 + MATCH_MIN;
            });
        });

        if (lengths == &p->match) {
            u16 *tree = p->slot[len < 6 ? len - MATCH_MIN : 3];
            sym = 1;
            TREE_BIT(tree, sym); TREE_BIT(tree, sym); TREE_BIT(tree, sym);
            TREE_BIT(tree, sym); TREE_BIT(tree, sym); TREE_BIT(tree, sym);
            u32 slot = (u32)sym - 64;
            rep0 = slot;
            if (slot >= 4) {
                u32 bits = (slot >> 1) - 1;
                rep0 = 2 | (slot & 1);
                if (slot < 14) {
                    rep0 <<= bits;
                    u16 *special = p->special + rep0 - slot;
                    u32 weight = 1;
                    sym = 1;
                    do {
                        BIT(special[sym], { sym += sym; }, { sym += sym + 1; rep0 += weight; });
                        weight += weight;
                    } while (--bits);
                } else {
                    bits -= 4;
                    do {
                        NORMALIZE();
                        range >>= 1;
                        rep0 += rep0;
                        if (code >= range) {
                            code -= range;
                            rep0++;
                        }
                    } while (--bits);
                    rep0 <<= 4;
                    BIT(p->align[1], { sym = 2; }, { sym = 3; rep0 += 1; });
                    BIT(p->align[sym], { sym += sym; }, { sym += sym + 1; rep0 += 2; });
                    BIT(p->align[sym], { sym += sym; }, { sym += sym + 1; rep0 += 4; });
                    BIT(p->align[sym], , { rep0 += 8; });
                }
            }
        }
        if (unlikely(rep0 >= (size_t)(dst - start) || len > (size_t)(end - dst)))
            return false;
        copy_match(dst, (size_t)rep0 + 1, len, (size_t)(cap - dst));
        dst += len;
    }
    // cppcheck-suppress unreadVariable ; the macro keeps `range` for a next bit
    NORMALIZE();
    s->rep0 = rep0;
    s->rep1 = rep1;
    s->rep2 = rep2;
    s->rep3 = rep3;
    s->state = (u32)state;
    return in == in_end && code == 0;
}

/* --- LZMA2: chunks ------------------------------------------------------------ */

static void lzma_reset(struct lzma *s)
{
    u16 *p = (u16 *)&s->p;
    for (size_t i = 0; i < sizeof(s->p) / sizeof(*p); i++)
        p[i] = PROB_COUNT / 2;
    s->rep0 = s->rep1 = s->rep2 = s->rep3 = s->state = 0;
}

/* The byte of properties: (pb * 5 + lp) * 9 + lc, lc + lp at most 4. */
static bool lzma_properties(struct lzma *s, u8 b)
{
    if (b >= 9 * 5 * 5)
        return false;
    u32 lp = b / 9 % 5;
    s->lc = b % 9;
    s->lp_mask = (1u << lp) - 1;
    s->pb_mask = (1u << (b / 45)) - 1;
    return s->lc + lp <= 4;
}

/* Where an unpacking stands: the input that is left, the output. */
struct span { const u8 *in, *in_end; u8 *out, *out_end; };

static const char damaged[] = "the xz data is damaged", cut_short[] = "the xz file is cut short";
static const char too_long[] = "the xz file unpacks to more than it claims";

static size_t in_left(const struct span *b) { return (size_t)(b->in_end - b->in); }

static size_t read_length(struct span *b)
{
    b->in += 2;
    return ((size_t)b->in[-2] << 8 | b->in[-1]) + 1;
}

/* The chunks of a block up to their end mark. */
static const char *lzma2_unpack(struct lzma *s, struct span *b)
{
    u8 *start = b->out;
    u8 least = 0xe0;    /* the control byte must reset at least as much as this one */
    while (in_left(b) > 0) {
        u8 control = *b->in++;
        if (control == 0)
            return NULL;
        if (in_left(b) < 5)
            return cut_short;
        if (control >= 0xe0 || control == 1) {
            start = b->out;             /* the dictionary starts anew here, */
            least = 0xc0;               /* and what points into it must too */
        }
        bool stored = control < 0x80;
        size_t out_len = read_length(b), in_len = out_len;
        if (!stored) {
            out_len += (size_t)(control & 0x1f) << 16;
            in_len = read_length(b);
        }
        if (stored ? control > 2 || least == 0xe0
                   : control < least || (control >= 0xc0 && !lzma_properties(s, *b->in++)))
            return damaged;
        if (control >= 0xa0)
            lzma_reset(s);
        least = stored ? least : 0x80;
        /* In a whole file at least SYMBOL_MAX bytes follow the last chunk: the end
         * mark, the index (8 or more) and the footer (12). */
        if (in_left(b) < in_len + SYMBOL_MAX)
            return cut_short;
        if ((size_t)(b->out_end - b->out) < out_len)
            return too_long;
        if (stored)
            memcpy(b->out, b->in, out_len);
        else if (!lzma_chunk(s, b->in, in_len, start, b->out, out_len, b->out_end))
            return damaged;
        b->in += in_len;
        b->out += out_len;
    }
    return cut_short;
}

/* --- the x86 filter ----------------------------------------------------------- */

static inline bool top_byte(u8 b) { return b == 0 || b == 0xff; }

/* First byte at or after i that is 0xe8 or 0xe9, `size` if there is none before it.
 * Eight bytes at a time: the sum keeps bit 7 of a byte clear where x has one of the two. */
static inline size_t next_branch(const u8 *buf, size_t i, size_t size)
{
    for (; i + 8 <= size; i += 8) {
        u64 x = (load64(buf + i) & 0xfefefefefefefefeUL) ^ 0xe8e8e8e8e8e8e8e8UL;
        x = ~((x >> 1) + 0x7f7f7f7f7f7f7f7fUL) & 0x8080808080808080UL;
        if (x)
            return i + ffs64(x) / 8;
    }
    while (i < size && (buf[i] & 0xfe) != 0xe8)
        i++;
    return i;
}

/*
 * Turns the absolute targets of CALL and JMP back into relative ones. `mask` tells
 * which of the last three bytes were opcodes that were left alone: the format's rule
 * for data that only looks like code.
 */
static NOINLINE void x86_unfilter(u8 *buf, size_t size)
{
    size_t last = (size_t)-1;
    u32 mask = 0;
    for (size_t i = 0; i + 4 < size; i++) {
        i = next_branch(buf, i, size - 4);
        if (i >= size - 4)
            break;
        size_t gap = i - last;
        last = i;
        mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
        unsigned back = mask == 4 ? 3 : mask;
        if (mask == 3 || mask > 4 || !top_byte(buf[i + 4]) ||
            (mask && top_byte(buf[i + 4 - back]))) {
            mask = mask << 1 | 1;
            continue;
        }
        u32 dest = load32(buf + i + 1) - ((u32)i + 5);
        unsigned shift = 32 - back * 8;
        while (mask && top_byte((u8)(dest >> (shift - 8))))
            dest = (dest ^ ((1u << shift) - 1)) - ((u32)i + 5);
        store32(buf + i + 1, (u32)((int)(dest << 7) >> 7));     /* bit 24 is the sign */
        i += 4;
    }
}

/* --- the container ------------------------------------------------------------ */

/* A number of 7 bits a byte; false: cut short or more than 63 bits. */
static bool read_vli(const u8 **p, const u8 *end, u64 *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 63 && *p < end; shift += 7) {
        u8 b = *(*p)++;
        *v |= (u64)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return b || !shift;
    }
    return false;
}

/* What a block's header asks for, p..end: its flags' low bits count filters before the last. */
static const char *check_filters(const u8 *p, const u8 *end, unsigned before)
{
    if (end - p < (before ? 5 : 3))
        return damaged;
    if (before > 1 || (before && (p[0] != 4 || p[1] != 0)))
        return "the xz file uses a filter other than x86";
    p += before ? 2 : 0;
    if (p[0] != 0x21 || p[1] != 1)
        return "the xz file uses another method than LZMA2";
    for (p += 3; p < end; p++) {
        if (*p)
            return damaged;
    }
    return NULL;
}

/* One block; b->in is at its header, whose size byte is not zero. */
static const char *unpack_block(struct span *b, bool has_crc)
{
    const u8 *head = b->in;
    u8 flags = head[1], *start = b->out;
    size_t head_len = (size_t)head[0] * 4;      /* without its checksum */
    if (in_left(b) < head_len + 4)
        return cut_short;
    const u8 *head_end = head + head_len, *p = head + 2;
    if (crc32(head, head_len) != load32(head_end))
        return damaged;
    if (flags & 0x3c)
        return "the xz file has flags of a later format";
    u64 packed = 0, unpacked = 0;
    if (((flags & 0x40) && !read_vli(&p, head_end, &packed)) ||
        ((flags & 0x80) && !read_vli(&p, head_end, &unpacked)))
        return damaged;
    b->in = head_end + 4;
    const char *why = check_filters(p, head_end, flags & 3) ?: lzma2_unpack(&lzma, b);
    if (why)
        return why;
    size_t used = (size_t)(b->in - head_end) - 4, made = (size_t)(b->out - start);
    if (((flags & 0x40) && packed != used) || ((flags & 0x80) && unpacked != made))
        return damaged;
    if (in_left(b) < 3 + 4)
        return cut_short;
    for (; used & 3; used++) {
        if (*b->in++)
            return damaged;
    }
    if (flags & 3)
        x86_unfilter(start, made);
    if (has_crc) {
        if (crc32(start, made) != load32(b->in))
            return "the xz data fails its checksum";
        b->in += 4;
    }
    return NULL;
}

/* The index and the footer need no reading for unpacking; that the index fills what
 * the blocks have left before the footer shows that the file is whole. */
static const char *check_tail(const struct span *b, const u8 *flags)
{
    const u8 *foot = b->in_end - 12;
    if (in_left(b) < 8 + 12 || foot[10] != 'Y' || foot[11] != 'Z' ||
        in_left(b) != ((u64)load32(foot + 4) + 1) * 4 + 12)
        return cut_short;
    bool whole = crc32(foot + 4, 6) == load32(foot) && memcmp(foot + 8, flags, 2) == 0 &&
                 crc32(b->in, in_left(b) - 16) == load32(foot - 4);
    return whole ? NULL : damaged;
}

const char *xz_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_cap, size_t *out_len)
{
    struct span b = { in, in + in_len, out, out + out_cap };
    const u8 *flags = in + 6;
    *out_len = 0;
    tables_init();
    if (in_len < 12)
        return cut_short;
    if (memcmp(in, "\xfd" "7zXZ", 6) != 0)
        return "this is no xz file";
    if (crc32(flags, 2) != load32(in + 8))
        return damaged;
    if (flags[0] != 0 || flags[1] > 1)
        return "the xz file has a check other than CRC32";
    b.in += 12;
    while (in_left(&b) > 1 && *b.in) {
        const char *why = unpack_block(&b, flags[1] == 1);
        if (why)
            return why;
    }
    *out_len = (size_t)(b.out - out);
    return check_tail(&b, flags);
}
