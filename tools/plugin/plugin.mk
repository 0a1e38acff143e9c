# SPDX-License-Identifier: MIT
# make plugins: tools/plugin/*.c become build/plugin/*.so, for QEMU's -plugin
PLUGINS := $(patsubst tools/plugin/%.c,build/plugin/%.so,$(wildcard tools/plugin/*.c))

build/plugin/%.so: tools/plugin/%.c tools/plugin/qemu_plugin.h $(wildcard bench/*.h)
	@mkdir -p $(@D)
	@gcc -std=gnu17 -O2 -g -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -o $@ $<

plugins: $(PLUGINS)

.PHONY: plugins
