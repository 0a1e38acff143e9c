/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's file system (xen/hypfs.h): what `xl set-parameters` and xenhypfs see.
 * It has the options that can be changed while the machine runs. Owns the fixed tree;
 * the settings are their owners' and are changed under control_lock.
 */
#include "console.h"
#include "guest.h"
#include "hypercall.h"
#include <xen/hypfs.h>

#define SETTING_MAX 32      /* bytes of text, with the 0 */

/* The children of a directory follow each other; a setting has none. */
static const struct node { const char *path, *name; u8 first, end; bool guests; } nodes[] = {
    { "/", "", 1, 2, false }, { "/params", "params", 2, 4, false },
    { "/params/loglvl", "loglvl", 0, 0, false },
    { "/params/guest_loglvl", "guest_loglvl", 0, 0, true },
};

struct content { struct xen_hypfs_direntry e; char data[128]; };

static u32 entry_size(const struct node *n)
{
    return (u32)ROUND_UP(offsetof(struct xen_hypfs_dirlistentry, name) + strlen(n->name) + 1, 4);
}

static struct xen_hypfs_direntry describe(const struct node *n)
{
    struct xen_hypfs_direntry e = { .type = XEN_HYPFS_TYPE_DIR };
    if (!n->end)
        return (struct xen_hypfs_direntry){ .type = XEN_HYPFS_TYPE_STRING, .max_write_len = SETTING_MAX,
                                            .content_len = (u32)strlen(printk_levels(n->guests)) + 1 };
    for (u32 i = n->first; i < n->end; i++)
        e.content_len += entry_size(&nodes[i]);
    return e;
}

static void fill(const struct node *n, struct content *c)
{
    c->e = describe(n);
    if (!n->end)
        strlcpy(c->data, printk_levels(n->guests), sizeof(c->data));
    char *to = c->data;
    for (u32 i = n->first; i < n->end; i++) {
        struct xen_hypfs_dirlistentry *l = (void *)to;
        l->e = describe(&nodes[i]);
        l->off_next = (u16)(i + 1 < n->end ? entry_size(&nodes[i]) : 0);
        strlcpy(l->name, nodes[i].name, strlen(nodes[i].name) + 1);
        to += entry_size(&nodes[i]);
    }
}

static long read_node(struct vcpu *v, const struct node *n, u64 to, u64 room)
{
    struct content c = { .data = "" };
    if (room < sizeof(c.e))
        return -EINVAL;
    fill(n, &c);
    bool fits = room - sizeof(c.e) >= c.e.content_len;
    if (guest_write(v, to, &c, sizeof(c.e) + (fits ? c.e.content_len : 0)))
        return -EFAULT;
    return fits ? 0 : -ENOBUFS;
}

static long write_node(struct vcpu *v, const struct node *n, u64 from, u64 len)
{
    char text[SETTING_MAX];
    if (n->end)
        return -EACCES;
    if (len > sizeof(text))
        return -ENOSPC;
    if (guest_read(v, text, from, len))
        return -EFAULT;
    if (!len || strnlen(text, len) != len - 1)
        return -EDOM;               /* as Xen has it */
    return printk_set_levels(n->guests, text);
}

/* a: XEN_HYPFS_OP_*, path and its length with the 0, buffer and its length. */
long do_hypfs_op(struct vcpu *v, unsigned long *a)
{
    char path[32] = "";
    if (a[0] == XEN_HYPFS_OP_get_version)
        return (a[1] | a[2] | a[3] | a[4]) ? -EINVAL : 1;
    if (!a[2] || a[2] > XEN_HYPFS_MAX_PATHLEN)
        return -EINVAL;
    if (a[2] > sizeof(path))
        return -ENOENT;             /* none of ours is that long */
    if (guest_read(v, path, a[1], a[2]))
        return -EFAULT;
    if (strnlen(path, a[2]) != a[2] - 1)
        return -EINVAL;
    const struct node *n = nodes, *end = nodes + ARRAY_SIZE(nodes);
    while (n < end && strcmp(path, n->path) != 0)
        n++;
    if (n == end)
        return -ENOENT;
    if (!spin_trylock(&control_lock))
        return -ERESTART;
    long rc = a[0] == XEN_HYPFS_OP_read ? read_node(v, n, a[3], a[4]) :
              a[0] == XEN_HYPFS_OP_write_contents ? write_node(v, n, a[3], a[4]) : -EOPNOTSUPP;
    spin_unlock(&control_lock);
    return rc;
}
