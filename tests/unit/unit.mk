# SPDX-License-Identifier: MIT
# make check-unit: builds and runs every tests/unit/test_*.c (how to add one: unit.h)
UNIT_CC ?= gcc
ifeq ($(COVERAGE),1)
UNIT_CC := clang
UNIT_COVERAGE := $(COVERAGE_FLAGS)
endif
UNIT_BUILD := $(if $(UNIT_COVERAGE),build/coverage/unit,build/unit)
UNIT_CFLAGS := -std=gnu17 -O1 -g -Wall -Wextra -Wno-unused-function -Wno-address-of-packed-member \
	-fno-strict-aliasing -fno-builtin -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-sanitize=alignment \
	-DUNIT_TEST -DDEBUG -D__XEN_TOOLS__ -Ihv/include -Itests/unit -U_FORTIFY_SOURCE -MMD -MP \
	$(foreach f,strlen strnlen strcmp strncmp strchr strlcpy snprintf vsnprintf,-D$f=hv_$f) $(UNIT_COVERAGE)
UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_BASE := hv/lib/string.c hv/lib/printf.c hv/lib/bitmap.c

$(UNIT_BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(UNIT_CC) $(UNIT_CFLAGS) -c -o $@ $<

$(UNIT_BUILD)/base.a: $(UNIT_BASE:%.c=$(UNIT_BUILD)/obj/%.o)
	@rm -f $@ && ar rcs $@ $^

# $(1): the test's name; $(2): sources of its first line
define UNIT_RULE
$(UNIT_BUILD)/$(1): $(UNIT_BUILD)/obj/tests/unit/$(1).o $(patsubst %.c,$(UNIT_BUILD)/obj/%.o,$(2)) $(UNIT_BUILD)/base.a
	@$$(UNIT_CC) $$(UNIT_CFLAGS) -o $$@ $$^
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call UNIT_RULE,$(t),$(shell sed -n '1s|^// links:||p' tests/unit/$(t).c))))

build-unit: $(UNIT_TESTS:%=$(UNIT_BUILD)/%)
check-unit:
	@tests/unit/run --dir $(UNIT_BUILD) $(UNIT_TESTS)

-include $(wildcard $(UNIT_BUILD)/obj/*/*/*.d)
.PHONY: build-unit check-unit
