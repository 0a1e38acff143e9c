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
struct length {
    u16 choice, choice2;
    u16 low[POS_STATES][8], mid[POS_STATES][8], high[256];
};

struct lzma {
    u16 next[2][PROB_COUNT];    /* probability after a 0, after a 1 */
    struct probs {
        u16 is_match[STATES][POS_STATES];
        u16 is_rep[STATES], is_rep0[STATES], is_rep1[STATES], is_rep2[STATES];
        u16 is_rep0_long[STATES][POS_STATES];
        u16 slot[4][64];
        u16 special[128];       /* distance slots 4..13, at 2^n - slot */
        u16 align[16];
        struct length match, rep;
        u16 literal[16][0x300];
    } p;
    u32 rep0, rep1, rep2, rep3, state;
    u32 lc, lp_mask, pb_mask;
    const char *why;
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

static inline u32 load32(const u8 *p) { u32 v; __builtin_memcpy(&v, p, 4); return v; }
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
 * Long data, eight bytes in seven instructions or so. With y = x^64, the polynomial
 * y^300 + y^155 + y^117 + y^89 + 1 is a multiple of the CRC's (since x^300 + ... + 1 is,
 * and squaring six times keeps it one). So a word may be struck out when it is added
 * to the words 145, 183, 211 and 300 further on; here each word collects from those
 * before it. At last 300 words are left, with the CRC of the whole.
 */
#define CRC_SPAN  300
#define CRC_CHUNK 2048

static u32 crc32(const u8 *p, size_t n)
{
    static u64 ring[CRC_SPAN + CRC_CHUNK];
    size_t words = n / 32 * 4;
    if (words < 2 * CRC_SPAN)
        return ~crc32_bytes(~0u, p, n);
    size_t strike = words - CRC_SPAN;
    u64 start = 0xffffffff;
    memset(ring, 0, CRC_SPAN * 8);
    while (strike) {
        size_t count = MIN(strike, (size_t)CRC_CHUNK);
        for (u64 *w = ring + CRC_SPAN, *end = w + count; w < end; w += 4, p += 32) {
            w[0] = load64(p) ^ start ^ w[-145] ^ w[-183] ^ w[-211] ^ w[-300];
            w[1] = load64(p + 8) ^ w[-144] ^ w[-182] ^ w[-210] ^ w[-299];
            w[2] = load64(p + 16) ^ w[-143] ^ w[-181] ^ w[-209] ^ w[-298];
            w[3] = load64(p + 24) ^ w[-142] ^ w[-180] ^ w[-208] ^ w[-297];
            start = 0;
        }
        memmove(ring, ring + count, CRC_SPAN * 8);
        strike -= count;
    }
    /* The last words collect from struck ones only. */
    memset(ring + CRC_SPAN, 0, CRC_SPAN * 8);
    for (u64 *w = ring + CRC_SPAN; w < ring + 2 * CRC_SPAN; w++, p += 8) {
        size_t i = (size_t)(w - ring) - CRC_SPAN;
        *w = load64(p) ^ (i < 145 ? w[-145] : 0) ^ (i < 183 ? w[-183] : 0) ^
             (i < 211 ? w[-211] : 0) ^ w[-300];
    }
    u32 c = crc32_bytes(0, (const u8 *)(ring + CRC_SPAN), CRC_SPAN * 8);
    return ~crc32_bytes(c, p, n % 32);
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

#define TREE_BIT(tree, sym) BIT((tree)[sym], sym += sym, sym += sym + 1)

/* One bit of a literal after a match: off is 0x100 when the match has a 1 there. */
#define MATCHED_BIT()                                                             \
    match += match;                                                               \
    off = match & 0x100;                                                          \
    BIT(lit[0x100 + off + sym], { sym += sym; if (off) goto differs; },           \
        { sym += sym + 1; if (!off) goto differs; })

/* Writes len bytes from `dist` bytes back; `room` is the distance from dst to the end
 * of the buffer: as long as there is some, eight bytes at a time may overshoot. Near
 * sources with a period of 1, 2 or 4 (zeros, tables) become a repeated word. */
static inline void copy_match(u8 *dst, size_t dist, size_t len, size_t room)
{
    const u8 *src = dst - dist;
    u8 *end = dst + len;
    if (unlikely(room < len + 8)) {
        do {
            *dst++ = *src++;
        } while (dst < end);
    } else if (likely(dist >= 8)) {
        do {
            store64(dst, load64(src));
            dst += 8;
            src += 8;
        } while (dst < end);
    } else if (dist == 4 || dist <= 2) {
        u64 word = dist == 4 ? load32(src) * 0x100000001UL
                 : dist == 2 ? (src[0] | (u64)src[1] << 8) * 0x0001000100010001UL
                 : *src * 0x0101010101010101UL;
        do {
            store64(dst, word);
            dst += 8;
        } while (dst < end);
    } else {
        do {
            *dst++ = *src++;
        } while (dst < end);
    }
}

/*
 * One LZMA chunk: in[0..in_len) to out[*pos..*pos + out_len). `start` is where the
 * dictionary begins, out + cap where the buffer ends. SYMBOL_MAX bytes behind the
 * chunk are readable. True: well formed.
 */
static bool lzma_chunk(struct lzma *s, const u8 *in, size_t in_len, u8 *start, u8 *dst,
                       size_t out_len, u8 *cap)
{
    const u8 *in_end = in + in_len;
    u8 *end = dst + out_len;
    u32 range = 0xffffffff, code = 0;
    u32 rep0 = s->rep0, rep1 = s->rep1, rep2 = s->rep2, rep3 = s->rep3;
    u64 state = s->state;
    const u32 lc = s->lc, lp_mask = s->lp_mask, pb_mask = s->pb_mask;
    struct probs *p = &s->p;

    if (in_len < 5 || *in++ != 0)
        return false;
    code = __builtin_bswap32(load32(in));
    in += 4;
    while (dst < end) {
        if (unlikely(in > in_end))
            return false;
        u32 pos = (u32)(dst - start);
        u64 pos_state = pos & pb_mask;
        u64 len;
        struct length *lengths;

        BIT(p->is_match[state][pos_state], {
            u32 prev = dst > start ? dst[-1] : 0;
            u16 *lit = p->literal[((pos & lp_mask) << lc) + (prev >> (8 - lc))];
            u64 sym = 1;
            if (state >= LIT_STATES) {
                /* Follow the byte that would have gone on with the match, as long
                 * as the bits agree. */
                u64 match = dst[-(size_t)rep0 - 1];
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
                    *dst = dst[-(size_t)rep0 - 1];
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
                    sym = 1;
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
struct span {
    const u8 *in, *in_end;
    u8 *out, *out_end;
};

static int fail(int err, const char *text)
{
    lzma.why = text;
    return err;
}

#define DAMAGED fail(-EINVAL, "the xz data is damaged")
#define CUT     fail(-EINVAL, "the xz file is cut short")
#define NOSPACE fail(-ENOSPC, "the xz file unpacks to more than it claims")

/* The chunks of a block up to their end mark. */
static int lzma2_unpack(struct lzma *s, struct span *b)
{
    u8 *start = b->out;
    bool need_dict = true, need_props = true, need_reset = true;
    for (;;) {
        if (b->in_end - b->in < 1)
            return CUT;
        u8 control = *b->in++;
        if (control == 0)
            return 0;
        if (control >= 0xe0 || control == 1) {
            need_dict = false;          /* the dictionary starts anew here, */
            need_props = true;          /* and what points into it must too */
            need_reset = true;
            start = b->out;
        } else if (need_dict) {
            return DAMAGED;
        }
        if (b->in_end - b->in < 5)
            return CUT;
        size_t out_len = (size_t)b->in[0] << 8 | b->in[1];
        if (control < 0x80) {           /* stored */
            out_len++;
            b->in += 2;
            if (control > 2)
                return DAMAGED;
            if ((size_t)(b->in_end - b->in) < out_len)
                return CUT;
            if ((size_t)(b->out_end - b->out) < out_len)
                return NOSPACE;
            memcpy(b->out, b->in, out_len);
            b->in += out_len;
            b->out += out_len;
            continue;
        }
        out_len += ((size_t)(control & 0x1f) << 16) + 1;
        size_t in_len = ((size_t)b->in[2] << 8 | b->in[3]) + 1;
        b->in += 4;
        if (control >= 0xc0) {
            if (!lzma_properties(s, *b->in++))
                return DAMAGED;
            need_props = false;
        } else if (need_props) {
            return DAMAGED;
        }
        if (control >= 0xa0) {
            lzma_reset(s);
            need_reset = false;
        } else if (need_reset) {
            return DAMAGED;
        }
        /* In a whole file at least SYMBOL_MAX bytes follow the last chunk: the end
         * mark, the index (8 or more) and the footer (12). */
        if ((size_t)(b->in_end - b->in) < in_len + SYMBOL_MAX)
            return CUT;
        if ((size_t)(b->out_end - b->out) < out_len)
            return NOSPACE;
        if (!lzma_chunk(s, b->in, in_len, start, b->out, out_len, b->out_end))
            return DAMAGED;
        b->in += in_len;
        b->out += out_len;
    }
}

/* --- the x86 filter ----------------------------------------------------------- */

static inline bool top_byte(u8 b) { return b == 0 || b == 0xff; }

/* Bit 7 of each byte is clear where x has 0xe8 or 0xe9. The other bits are rubbish. */
static inline u64 no_branch(u64 x)
{
    return (((x & 0xfefefefefefefefeUL) ^ 0xe8e8e8e8e8e8e8e8UL) >> 1) + 0x7f7f7f7f7f7f7f7fUL;
}

/* First byte at or after i that is 0xe8 or 0xe9; `size` or more if there is none
 * before it. buf[size + 3] is readable. */
static inline size_t next_branch(const u8 *buf, size_t i, size_t size)
{
    const u64 high = 0x8080808080808080UL;
    for (; i + 16 <= size; i += 16) {
        u64 lo = no_branch(load64(buf + i)), hi = no_branch(load64(buf + i + 8));
        if ((lo & hi & high) != high) {
            lo = ~lo & high;
            hi = ~hi & high;
            return lo ? i + ffs64(lo) / 8 : i + 8 + ffs64(hi) / 8;
        }
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
static void x86_unfilter(u8 *buf, size_t size)
{
    static const u8 skip_bits[8] = { 0, 1, 2, 2, 3, 3, 3, 3 };
    if (size <= 4)
        return;
    size -= 4;
    size_t last = (size_t)-1;
    u32 mask = 0;
    for (size_t i = 0; i < size; i++) {
        if ((buf[i] & 0xfe) != 0xe8) {
            i = next_branch(buf, i, size);
            if (i >= size)
                break;
        }
        size_t gap = i - last;
        last = i;
        mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
        if (mask) {
            bool allowed = mask == 1 || mask == 2 || mask == 4;
            if (!allowed || top_byte(buf[i + 4 - skip_bits[mask]])) {
                mask = mask << 1 | 1;
                continue;
            }
        }
        if (!top_byte(buf[i + 4])) {
            mask = mask << 1 | 1;
            continue;
        }
        u32 src = load32(buf + i + 1), dest;
        for (;;) {
            dest = src - ((u32)i + 5);
            if (!mask)
                break;
            unsigned shift = skip_bits[mask] * 8u;
            if (!top_byte((u8)(dest >> (24 - shift))))
                break;
            src = dest ^ ((1u << (32 - shift)) - 1);
        }
        dest &= 0x01ffffff;
        dest |= 0 - (dest & 0x01000000);
        store32(buf + i + 1, dest);
        i += 4;
    }
}

/* --- the container ------------------------------------------------------------ */

/* A number of 7 bits a byte; false: cut short or more than 63 bits. */
static bool read_vli(const u8 **p, const u8 *end, u64 *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        if (*p >= end)
            return false;
        u8 b = *(*p)++;
        *v |= (u64)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return b || !shift;
    }
    return false;
}

/* The filters of a block header p..end: sets *x86. */
static int block_filters(const u8 *p, const u8 *end, unsigned nr, bool *x86)
{
    *x86 = false;
    for (unsigned i = 0; i < nr; i++) {
        u64 id, props;
        if (!read_vli(&p, end, &id) || !read_vli(&p, end, &props) ||
            props > (u64)(end - p)) {
            return DAMAGED;
        }
        if (i == nr - 1) {
            if (id != 0x21 || props != 1)
                return fail(-EOPNOTSUPP, "the xz file uses another method than LZMA2");
        } else if (id == 4 && props == 0 && nr == 2) {
            *x86 = true;
        } else {
            return fail(-EOPNOTSUPP, "the xz file uses a filter other than x86");
        }
        p += props;
    }
    for (; p < end; p++) {
        if (*p)
            return DAMAGED;
    }
    return 0;
}

/* One block; b->in is at its header, whose size byte is not zero. */
static int unpack_block(struct lzma *s, struct span *b, bool has_crc)
{
    const u8 *head = b->in;
    size_t head_len = ((size_t)head[0] + 1) * 4;
    if ((size_t)(b->in_end - head) < head_len)
        return CUT;
    const u8 *head_end = head + head_len - 4, *p = head + 2;
    if (crc32(head, head_len - 4) != load32(head_end))
        return DAMAGED;
    u8 flags = head[1];
    u64 packed = 0, unpacked = 0;
    if (flags & 0x3c)
        return fail(-EOPNOTSUPP, "the xz file has flags of a later format");
    if (((flags & 0x40) && !read_vli(&p, head_end, &packed)) ||
        ((flags & 0x80) && !read_vli(&p, head_end, &unpacked))) {
        return DAMAGED;
    }
    bool x86;
    int rc = block_filters(p, head_end, (flags & 3) + 1, &x86);
    if (rc)
        return rc;
    u8 *start = b->out;
    b->in += head_len;
    rc = lzma2_unpack(s, b);
    if (rc)
        return rc;
    size_t used = (size_t)(b->in - head) - head_len, made = (size_t)(b->out - start);
    if (((flags & 0x40) && packed != used) || ((flags & 0x80) && unpacked != made))
        return DAMAGED;
    size_t rest = (-used & 3) + (has_crc ? 4 : 0);
    if ((size_t)(b->in_end - b->in) < rest)
        return CUT;
    for (; (b->in - head) & 3; b->in++) {
        if (*b->in)
            return DAMAGED;
    }
    if (x86)
        x86_unfilter(start, made);
    if (has_crc) {
        if (crc32(start, made) != load32(b->in))
            return fail(-EINVAL, "the xz data fails its checksum");
        b->in += 4;
    }
    return 0;
}

static const u8 stream_magic[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

/* The index and the footer need no reading for unpacking; that the index begins where
 * the blocks end and that twelve bytes of footer with its magic follow somewhere behind
 * shows that the file is whole. */
static int check_tail(const struct span *b, const u8 *flags)
{
    const u8 *p = b->in;
    u64 records, value;
    p++;
    if (!read_vli(&p, b->in_end, &records))
        return CUT;
    for (u64 i = 0; i < records * 2 && i < (u64)(b->in_end - b->in); i++) {
        if (!read_vli(&p, b->in_end, &value))
            return CUT;
    }
    p += -(size_t)(p - b->in) & 3;
    if (p > b->in_end || b->in_end - p < 4 + 12)
        return CUT;
    if (crc32(b->in, (size_t)(p - b->in)) != load32(p))
        return DAMAGED;
    p += 4;
    if (crc32(p + 4, 6) != load32(p) || p[8] != flags[0] || p[9] != flags[1] ||
        p[10] != 'Y' || p[11] != 'Z') {
        return DAMAGED;
    }
    return 0;
}

static int unpack_stream(struct span *b)
{
    const u8 *flags = b->in + 6;
    if (b->in_end - b->in < 12)
        return CUT;
    if (memcmp(b->in, stream_magic, sizeof(stream_magic)) != 0)
        return fail(-EINVAL, "this is no xz file");
    if (crc32(flags, 2) != load32(b->in + 8))
        return DAMAGED;
    if (flags[0] != 0 || flags[1] > 1)
        return fail(-EOPNOTSUPP, "the xz file has a check other than CRC32");
    b->in += 12;
    for (;;) {
        if (b->in >= b->in_end)
            return CUT;
        if (*b->in == 0)
            return check_tail(b, flags);
        int rc = unpack_block(&lzma, b, flags[1] == 1);
        if (rc)
            return rc;
    }
}

int xz_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_cap, size_t *out_len,
              const char **why)
{
    struct span b = { in, in + in_len, out, out + out_cap };
    tables_init();
    int rc = unpack_stream(&b);
    *out_len = (size_t)(b.out - out);
    *why = rc ? lzma.why : "";
    return rc;
}
