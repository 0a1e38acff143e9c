/* SPDX-License-Identifier: MIT */
/* hvinfo DOMAIN: the machine's pages, the free ones and the domain's, exactly (xl rounds to MiB). */
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

int main(int argc, char **argv)
{
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    xc_physinfo_t machine = { 0 };
    xc_dominfo_t domain = { 0 };
    unsigned id = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    if (!xc || xc_physinfo(xc, &machine) || xc_domain_getinfo(xc, id, 1, &domain) != 1 || domain.domid != id) {
        perror("hvinfo");
        return 1;
    }
    printf("%lu %lu %lu\n", machine.total_pages, machine.free_pages, domain.nr_pages);
    return 0;
}
