// links: hv/lib/bzimage.c
#include "unit.h"
#include "unpack.h"

static u8 file[8192];
static struct kernel_payload p;
static const char *why;

static void fresh(const void *magic, size_t n)
{
    memset(file, 0, sizeof(file));
    file[0x1f1] = 3;
    file[0x1fe] = 0x55;
    file[0x1ff] = 0xaa;
    memcpy(file + 0x202, "HdrS", 4);
    file[0x206] = 0x0f;
    file[0x207] = 2;
    file[0x249] = 1;            /* offset 0x100 */
    file[0x24d] = 4;            /* length 0x400 */
    memcpy(file + 2048 + 0x100, magic, n);
    memcpy(file + 2048 + 0x100 + 0x3fc, "\x78\x56\x34\x12", 4);
}

static bool find(size_t n)
{
    u8 *copy = malloc(n + !n);
    memcpy(copy, file, n);
    why = kernel_find_payload(copy, n, &p);
    p.data = why ? NULL : file + (p.data - copy);
    free(copy);
    return !why;
}

TEST(xz_payload)
{
    fresh("\xfd" "7zXZ", 6);
    CHECK(find(sizeof(file)));
    CHECK_EQ(p.kind, KERNEL_XZ);
    CHECK(p.data == file + 2048 + 0x100);
    CHECK_EQ(p.len, 0x3fc);
    CHECK_EQ(p.unpacked_len, 0x12345678);
}

TEST(elf_file_and_elf_payload)
{
    fresh("\177ELF", 4);
    CHECK(find(sizeof(file)));
    CHECK_EQ(p.kind, KERNEL_ELF);
    CHECK_EQ(p.len, 0x400);
    memcpy(file, "\177ELF", 4);
    CHECK(find(100));
    CHECK_EQ(p.kind, KERNEL_ELF);
    CHECK(p.data == file && p.len == 100 && p.unpacked_len == 100);
}

TEST(others)
{
    static const char *const magics[] = { "\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "????" };
    for (unsigned i = 0; i < ARRAY_SIZE(magics); i++) {
        fresh(magics[i], strlen(magics[i]));
        CHECK(!find(sizeof(file)));
        CHECK(strstr(why, "CONFIG_KERNEL_XZ") != NULL);
    }
}

TEST(not_a_kernel)
{
    fresh("\xfd" "7zXZ", 6);
    for (size_t n = 0; n < 2048 + 0x100 + 0x400; n++) {
        CHECK(!find(n));
    }
    fresh("\xfd" "7zXZ", 6);
    file[0x202] = 'x';
    CHECK(!find(sizeof(file)));
    fresh("\xfd" "7zXZ", 6);
    file[0x206] = 7;
    CHECK(!find(sizeof(file)));
    fresh("\xfd" "7zXZ", 6);
    memset(file + 0x248, 0xff, 8);
    CHECK(!find(sizeof(file)));
    fresh("\xfd" "7zXZ", 6);
    memset(file + 0x24c, 0, 4);
    file[0x24c] = 7;
    CHECK(!find(sizeof(file)));
}
