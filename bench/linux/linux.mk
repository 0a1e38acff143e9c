# SPDX-License-Identifier: MIT
# make bench-linux: what operations cost inside Debian's Linux, on Bulkhead, on Debian's Xen and bare
LINUX := build/bench/linux
LINUX_PROGRAMS := $(LINUX)/lat $(LINUX)/io $(LINUX)/hvinfo $(LINUX)/first build/plugin/count.so

$(LINUX)/lat $(LINUX)/io: $(LINUX)/%: bench/linux/%.c bench/linux/marks.h bench/mark.h
	@mkdir -p $(@D)
	@gcc -std=gnu17 -O2 -Wall -Wextra -Werror -static -o $@ $<

$(LINUX)/hvinfo: bench/linux/hvinfo.c
	@mkdir -p $(@D)
	@gcc -std=gnu17 -O2 -Wall -Wextra -Werror -o $@ $< -lxenctrl

$(LINUX)/first: build/guests/obj/bench/linux/first.o $(GUEST_LIB) guests/lib/guest.lds
	@mkdir -p $(@D)
	@$(GUEST_CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.lds,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments \
		-Wl,--wrap=guest_start -o $@ $< $(GUEST_LIB)

bench-linux: all $(LINUX_PROGRAMS)
	@tools/need libc6-dev qemu-system-x86 $(IMAGE_PKGS)
	@tools/mkimage
	@bench/linux/run

.PHONY: bench-linux
