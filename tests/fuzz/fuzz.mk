# SPDX-License-Identifier: MIT
# make check-fuzz          every host fuzzer, a fixed number of inputs from a fixed seed
# make fuzz-host MINUTES=n each for n minutes, finds kept in build/hostfuzz/corpus (how to add one: fuzz.h)
MINUTES ?= 10
FUZZ_CFLAGS := $(filter-out -fsanitize=% -MMD -MP,$(UNIT_CFLAGS)) -fsanitize=fuzzer,address,undefined \
	-fno-sanitize=alignment -MMD -MP -Itests/fuzz
FUZZ_LIBS_fuzz_insn := /usr/lib/x86_64-linux-gnu/libLLVM-14.so.1
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

build/hostfuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@clang $(FUZZ_CFLAGS) -c -o $@ $<

# $(1): the fuzzer's name; $(2): sources of its first line
define FUZZ_RULE
build/hostfuzz/$(1): build/hostfuzz/obj/tests/fuzz/$(1).o $(patsubst %.c,build/hostfuzz/obj/%.o,$(2) $(UNIT_BASE))
	@clang $$(FUZZ_CFLAGS) -o $$@ $$^ $$(FUZZ_LIBS_$(1))
endef
$(foreach t,$(FUZZERS),$(eval $(call FUZZ_RULE,$(t),$(shell sed -n '1s|^// links:||p' tests/fuzz/$(t).c))))

check-fuzz:
	@tools/need clang libclang-rt-14-dev libxen-dev python3
	@tests/fuzz/run $(FUZZERS)

fuzz-host:
	@tools/need clang libclang-rt-14-dev libxen-dev python3
	@tests/fuzz/run --minutes $(MINUTES) $(FUZZERS)

-include $(wildcard build/hostfuzz/obj/*/*/*.d)
.PHONY: check-fuzz fuzz-host
