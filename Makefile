# SPDX-License-Identifier: MIT
# make            build/bulkhead (release);  make DEBUG=1: build/debug/bulkhead
# make CC=clang   with clang
# make run        Debian as dom0 with a guest, on this terminal (root)
# make check      every test (root);  make coverage: what they reach
# make install    beside the distribution's kernels, offered by GRUB (root)
ifeq ($(origin CC),default)
CC := gcc
endif
DEBUG ?= 0
COVERAGE_FLAGS := -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic
ifeq ($(COVERAGE),1)
CC := clang
B := build/coverage
CFLAGS_MODE := -DNDEBUG $(COVERAGE_FLAGS) -Wno-frame-larger-than
HV_LDS := build/coverage/hv.lds
else ifeq ($(DEBUG),1)
B ?= build/debug
CFLAGS_MODE := -DDEBUG -fno-omit-frame-pointer
else
B ?= build
CFLAGS_MODE := -DNDEBUG
endif
HV_LDS ?= hv/x86/hv.lds
OBJCOPY ?= objcopy
LD ?= ld
NM ?= nm

CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-builtin-printf -Wall -Wextra -Werror \
	-Wno-address-of-packed-member -fPIE -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-common -fno-jump-tables -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -Wframe-larger-than=1536 -Ihv/include -D__XEN_TOOLS__ -MMD -MP $(CFLAGS_MODE) $(ANALYZE)
SRC_C := $(filter-out hv/x86/asm_offsets.c,$(wildcard hv/lib/*.c hv/core/*.c hv/x86/*.c hv/x86/pv/*.c hv/drivers/*.c))
SRC_S := $(wildcard hv/x86/*.S hv/x86/pv/*.S)
OBJ := $(SRC_C:%.c=$(B)/%.o) $(SRC_S:%.S=$(B)/%.o)

all: $(B)/bulkhead
objects: $(OBJ)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC  $<'; $(CC) $(CFLAGS) -c -o $@ $<

$(B)/asm_offsets.h: hv/x86/asm_offsets.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MF $(B)/asm_offsets.d -MT $@ -S -o - $< | sed -n 's/^.*->\([A-Za-z0-9_]*\) [$$#]*\([-0-9]*\).*/#define \1 \2/p' > $@

$(B)/%.o: %.S $(B)/asm_offsets.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D__ASSEMBLY__ -I$(B) -c -o $@ $<

# The image is linked twice: the first link's symbols become the table of the second
# (after .text, so nothing that it names moves). QEMU and GRUB load the flat binary.
LDFLAGS := -static -no-pie -nostdlib -z max-page-size=4096 -z noexecstack --build-id=none \
	-T $(HV_LDS)
$(B)/symbols-none.o $(B)/symbols.o: %.o: %.S
	@$(CC) -c -o $@ $<

$(B)/symbols-none.S: tools/symbols
	@mkdir -p $(@D)
	@tools/symbols < /dev/null > $@

$(B)/symbols.S: $(B)/bulkhead.1 tools/symbols
	@$(NM) -n $< | tools/symbols > $@

$(B)/bulkhead.1: $(OBJ) $(B)/symbols-none.o $(HV_LDS)
	@echo '  LD  $@'; $(LD) $(LDFLAGS) -o $@ $(OBJ) $(B)/symbols-none.o

$(B)/bulkhead.elf: $(B)/bulkhead.1 $(B)/symbols.o
	@echo '  LD  $@'; $(LD) $(LDFLAGS) -o $@ $(OBJ) $(B)/symbols.o

$(B)/bulkhead: $(B)/bulkhead.elf
	@$(OBJCOPY) -O binary $< $@

# For tools/analyze and editors: how each source is compiled.
$(B)/compile_commands.json: Makefile $(SRC_C)
	@mkdir -p $(@D)
	@for f in $(SRC_C); do \
	  echo "{ \"directory\": \"$(CURDIR)\", \"file\": \"$$f\", \"command\": \"$(CC) $(CFLAGS) -c $$f\" },"; \
	done | sed '1s/^/[ /; $$s/,$$/ ]/' > $@

clean:
	rm -rf build/hv build/analyze build/debug build/coverage build/hostfuzz build/clang build/clang-debug build/unit build/guests \
		build/plugin build/bulkhead*

IMAGE_PKGS := mmdebstrap e2fsprogs cpio zstd xz-utils python3 kmod
run:
	@tools/need gcc binutils libxen-dev qemu-system-x86 $(IMAGE_PKGS)
	@$(MAKE) --no-print-directory all
	@tools/mkimage
	@DEMO=1 tools/run

image:
	@tools/need $(IMAGE_PKGS)
	@tools/mkimage

check:
	@tests/run

check-static:
	@tools/analyze clang-tidy
	@tools/analyze cppcheck
	@tools/analyze gcc

check-system:
	@tools/need qemu-system-x86 qemu-utils python3-pytest python3-pexpect python3-pytest-xdist $(IMAGE_PKGS)
	@tools/mkimage
	@COUNTS=$(CURDIR)/build/system.counts HV=$(or $(HV),$(B)/bulkhead) tests/system/run

VERSION := $(shell sed -n 's/^VERSION=//p' packaging/version)
install: all
	@VERSION=$(VERSION) packaging/grub/install $(B)/bulkhead $(DESTDIR)

uninstall:
	@packaging/grub/install --remove $(DESTDIR)

docs:
	@tools/mkappendix

-include $(OBJ:.o=.d) $(B)/asm_offsets.d
.PHONY: all objects clean run image check check-static check-system install uninstall docs
-include tests/unit/unit.mk tests/fuzz/fuzz.mk tests/coverage/coverage.mk guests/guests.mk tools/plugin/plugin.mk bench/bench.mk bench/linux/linux.mk
