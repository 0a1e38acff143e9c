# SPDX-License-Identifier: MIT
# make bench: what operations cost on Bulkhead and on Debian's Xen (docs/measuring.md)
build/bench/pv: build/guests/obj/bench/pv.o $(GUEST_LIB) guests/lib/guest.lds
	@mkdir -p $(@D)
	@$(GUEST_CC) -nostdlib -static -no-pie -Wl,-T,guests/lib/guest.lds,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments \
		-Wl,--wrap=guest_start -o $@ $< $(GUEST_LIB)

build/bench/firmware: bench/firmware.S
	@mkdir -p $(@D)
	@$(GUEST_CC) -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x100000,--build-id=none,-N,--no-warn-rwx-segments -o $@ $<

bench: all build/bench/pv build/bench/firmware
	@bench/run
check-bench: all build/bench/pv build/bench/firmware
	@bench/run --check

.PHONY: bench check-bench
