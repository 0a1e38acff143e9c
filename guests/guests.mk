# SPDX-License-Identifier: MIT
# make guests: each guests/*.c becomes build/guests/<name>, an ELF64 PV guest (lib/tiny.h);
# fuzz is more than one file: fuzz/
GUEST_CC ?= gcc
GUEST_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-builtin-printf -Wall -Wextra -Wno-unused-function \
	-Wno-address-of-packed-member -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=none -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-fno-common -fno-toplevel-reorder -Ihv/include -Iguests/lib -D__XEN_TOOLS__ -DVIRT_BASE=0xffffffff80000000 -MMD -MP
GUESTS := $(patsubst guests/%.c,%,$(wildcard guests/*.c))
GUEST_LIB := $(patsubst %,build/guests/obj/%.o,guests/lib/start guests/lib/lib guests/lib/domu guests/lib/record \
	hv/lib/mem hv/lib/string hv/lib/printf hv/lib/bitmap)

build/guests/obj/guests/%.o: GUEST_CFLAGS += -DRECORD
build/guests/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<

build/guests/obj/%.o: %.S
	@mkdir -p $(@D)
	@$(GUEST_CC) $(GUEST_CFLAGS) -D__ASSEMBLY__ -c -o $@ $<

build/guests/fuzz: $(patsubst %.c,build/guests/obj/%.o,$(wildcard guests/fuzz/*.c))
build/guests/%: build/guests/obj/guests/%.o $(GUEST_LIB) guests/lib/guest.lds
	@$(GUEST_CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.lds,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments \
		-o $@ $(filter %.o,$^)

guests: $(GUESTS:%=build/guests/%)
check-guests: guests
	@tests/guest/run
# The same guests on Debian's Xen: what differs must be listed in tests/guest/differences.txt.
conformance-peer: all guests
	@tools/need qemu-system-x86 libxen-dev python3
	@xen=$$(tools/debian-xen) && tests/guest/run --hv $(B)/bulkhead --peer $$xen

check-bounded: all guests plugins
	@tests/guest/bounded

# make fuzz [MINUTES=n] [SEED=s]: hostile sequences, new seeds until the time is over
fuzz: guests
	@$(MAKE) --no-print-directory DEBUG=1
	@tests/guest/fuzz --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

.PRECIOUS: build/guests/obj/%.o
-include $(wildcard build/guests/obj/*/*.d build/guests/obj/*/*/*.d)
.PHONY: guests check-guests check-bounded conformance-peer fuzz
