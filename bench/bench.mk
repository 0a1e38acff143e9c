# SPDX-License-Identifier: MIT
# make bench: what operations cost on Bulkhead and on Debian's Xen (docs/measuring.md)
BENCH_OBJ := $(patsubst %,build/guests/obj/bench/%.o,pv pairs sample)

build/bench/pv: $(BENCH_OBJ) $(GUEST_LIB) guests/lib/guest.lds
	@mkdir -p $(@D)
	@$(GUEST_CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.lds,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments \
		-Wl,--wrap=guest_start -o $@ $(BENCH_OBJ) $(GUEST_LIB)

# The same without a hypervisor: a flat multiboot image.
BARE_OBJ := $(patsubst %,build/guests/obj/%.o,bench/bare_start bench/bare bench/sample hv/lib/mem hv/lib/string hv/lib/printf)
build/bench/bare: $(BARE_OBJ) guests/lib/guest.lds
	@mkdir -p $(@D)
	@$(GUEST_CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.lds,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments \
		-o $@.elf $(BARE_OBJ)
	@objcopy -O binary $@.elf $@

bench: all plugins build/bench/pv build/bench/bare
	@bench/run
	@$(MAKE) --no-print-directory bench-linux
bench-check: all plugins build/bench/pv build/bench/bare
	@bench/run --check

.PHONY: bench bench-check
