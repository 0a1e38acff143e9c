# SPDX-License-Identifier: MIT
# make coverage: what of hv/ the unit tests and the tiny guests reach (docs/coverage.md)
# make COVERAGE=1: build/coverage/bulkhead, a hypervisor that counts in its own memory. Its
# linker script is hv.lds with the counters behind .data and the maps outside the memory.
build/coverage/hv.lds: hv/x86/hv.lds tests/coverage/coverage.mk
	@mkdir -p $(@D)
	@sed -e '/^    load_end = /i\
	    __llvm_prf_data : { KEEP(*(__llvm_prf_data)) } :data\
	    __llvm_prf_cnts : { KEEP(*(__llvm_prf_cnts)) } :data' \
	  -e '/DISCARD/i\
	    __llvm_prf_names 0 (INFO) : { KEEP(*(__llvm_prf_names)) }\
	    __llvm_covfun 0 (INFO) : { KEEP(*(__llvm_covfun)) }\
	    __llvm_covmap 0 (INFO) : { KEEP(*(__llvm_covmap)) }' $< > $@

# The percentages of hv/core and hv/x86/pv below which it fails.
COVERAGE_LINES := 90
COVERAGE_BRANCHES := 80
# What boots build/coverage/bulkhead, one command in a line.
define COVERAGE_MACHINES
tests/guest/run --hv build/coverage/bulkhead
tests/guest/run --hv build/coverage/bulkhead --cpu max,-smap traps vcpus insns frames
tests/guest/boot --hv build/coverage/bulkhead
$(if $(wildcard tests/guest/fuzz),tests/guest/fuzz --hv build/coverage/bulkhead)
endef
coverage check-coverage: export PATH := $(CURDIR)/tests/coverage:$(PATH)
coverage check-coverage:
	@tools/need gcc clang llvm-14 libclang-rt-14-dev binutils libxen-dev python3 qemu-system-x86
	@rm -rf build/coverage/machines
	@$(MAKE) --no-print-directory -s COVERAGE=1 all guests
	-@$(MAKE) --no-print-directory -s COVERAGE=1 check-unit
	$(COVERAGE_MACHINES)
	@tests/coverage/report --lines $(COVERAGE_LINES) --branches $(COVERAGE_BRANCHES) \
		$(if $(filter coverage,$@),--book docs/coverage.md)

.PHONY: coverage check-coverage
