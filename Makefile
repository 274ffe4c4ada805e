# SPDX-License-Identifier: Apache-2.0
#
# `make help` explains the targets. Everything that is made goes below build/: build/release or, with SANITIZE=1,
# build/asan; build/fuzz for the fuzzers, build/cache for what was fetched.

VARIANT := $(if $(SANITIZE),asan,release)
B := build/$(VARIANT)
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
bindir := $(PREFIX)/bin
sbindir := $(PREFIX)/sbin
libdir := $(PREFIX)/lib
unitdir := $(libdir)/systemd/system
docdir := $(PREFIX)/share/doc/tee-agent
mandir := $(PREFIX)/share/man
completiondir := $(PREFIX)/share/bash-completion/completions
units := tee-agent.service tee-agent.socket
manuals := $(foreach section,1 5 8,$(patsubst docs/man/%,man$(section)/%,$(wildcard docs/man/*.$(section))))
completions := $(notdir $(wildcard packaging/completions/*))
FUZZ_SECONDS ?= 15
SUITES ?= bookworm trixie
DEPS ?= tests/dev/deps
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS ?= -O2 -g
MAKEFLAGS += --no-print-directory --no-builtin-rules
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-9s %s\n' $(1) $(2))

# ---- Flags: ours, whatever CFLAGS says

warnings := -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla
language := -std=gnu17 -D_GNU_SOURCE -Ilib
hardening := -fstack-protector-strong -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
fortify := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
trapping := -fsanitize=undefined -fsanitize-undefined-trap-on-error
linking := -Wl,-z,relro,-z,now -Wl,--as-needed

common := $(language) $(warnings) $(hardening) -fPIE -MMD -MP
variant := $(if $(SANITIZE),$(sanitizers),$(fortify))
fuzzing := -fsanitize=fuzzer-no-link -U_FORTIFY_SOURCE $(sanitizers)

# Asked once, and not before a recipe needs them: by then deps has seen to it that the libraries are there.
packages := libsystemd libcurl libconfig libcjson libmicrohttpd gnutls
package_cflags = $(eval package_cflags := $(shell pkg-config --cflags $(packages)))$(package_cflags)
package_libs = $(eval package_libs := $(shell pkg-config --libs $(packages)))$(package_libs)
cmocka_libs = $(eval cmocka_libs := $(shell pkg-config --libs cmocka))$(cmocka_libs)

# ---- Sources

lib := $(wildcard lib/*.c)
agent := $(filter-out agent/main.c,$(wildcard agent/*.c))
client := $(filter-out client/tee-%.c,$(wildcard client/*.c))
guest := $(filter-out guest/main.c,$(wildcard guest/*.c))
health := $(filter-out health/main.c,$(wildcard health/*.c))
installer := $(filter-out installer/main.c,$(wildcard installer/*.c))
pages := $(sort $(wildcard health/pages/*.txt))
unit := $(filter-out tests/unit/test-%,$(wildcard tests/unit/*.c))
programs := $(addprefix $(B)/,tee-agent tee-install tee-health tee-run tee-bench tee-guest keep-memory.so)
unit_tests := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test-*.c))
fuzzers := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz-*.c))
objects = $(patsubst %.c,$(1)/obj/%.o,$(2))

# What apt has to bring for these goals. Goals that only compile say what is missing; the others install it.
goals := $(or $(MAKECMDGOALS),all)
for = $(if $(filter $(1),$(goals)),$(2))
deps := build $(call for,run up check check-integration bench lint,run) \
	$(call for,check check-unit check-integration check-host bench lint,test) $(call for,check check-host,host) \
	$(call for,check check-fuzz fuzz lint,fuzz) $(call for,check check-integration bench,bench) \
	$(call for,check-vm,vm) $(call for,lint,lint) $(call for,deb apt-repo check check-host check-vm,package)
installing := $(filter run up check check-% fuzz bench lint deb apt-repo,$(goals))

# ---- Targets

.PHONY: all help build deps run up down check check-unit check-fuzz check-integration check-host check-vm fuzz asan bench \
	lint deb apt-repo install uninstall clean distclean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(programs) ## build the programs (SANITIZE=1: with ASan and UBSan, into build/asan; V=1: show the commands)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: all ## bring up all that is needed, run examples/hello.ts in a sandbox, take it all down again
	@BUILD=$(B) tests/dev/run examples/hello.ts

up: all ## the same, but leave Docker and the agent running; the last line is the path of the agent's socket
	@BUILD=$(B) tests/dev/up

down: ## end what `make up` has started
	@tests/dev/down

check: all $(unit_tests) $(fuzzers) ## build and run every test; the last line counts them
	@BUILD=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/dev/check unit fuzz integration host

check-unit: $(unit_tests) ## the unit tests alone
	@BUILD=$(B) tests/dev/check unit

check-fuzz: $(fuzzers) ## the fuzzers alone, FUZZ_SECONDS (15) each
	@BUILD=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/dev/check fuzz

check-integration: all ## the integration tests alone, with a real Docker, gVisor and Deno of their own
	@BUILD=$(B) tests/dev/check integration

check-host: deps ## tests on booted Debian hosts with systemd, apt and Docker of their own, as root
	@BUILD=$(B) tests/dev/check host

check-vm: deps ## the package on an emulated machine with cgroup v2, as root; not part of check (4 minutes)
	@BUILD=$(B) tests/dev/check vm

fuzz: ## the fuzzers for longer: make fuzz SECONDS=600
	@$(MAKE) check-fuzz FUZZ_SECONDS=$(or $(SECONDS),600)

asan: ## every test, on a build with ASan and UBSan
	@$(MAKE) check SANITIZE=1

bench: all ## measure what docs/PERFORMANCE.md promises; table here, JSON and chart in build/bench (20 minutes)
	@BUILD=$(B) tests/bench/run

lint: deps ## clang-format, clang-tidy, cppcheck, shellcheck, mandoc
	@tests/dev/lint $(language) $(includes_of_tests) $(package_cflags)

deb: deps ## the Debian package for each of SUITES (bookworm trixie), in build/deb; as root
	@packaging/deb $(SUITES)

apt-repo: deb ## a signed apt repository with these packages, in build/apt; KEY is the secret key of gpg's
	@packaging/apt-repo $(if $(KEY),--key '$(KEY)') build/apt \
		$(foreach suite,$(SUITES),$(suite)=$$(echo build/deb/$(suite)/tee-agent_*.deb))

install: all ## install into DESTDIR, below PREFIX (/usr/local); keeps a tee.conf that is there
	install -D -m 0755 -t $(DESTDIR)$(bindir) $(B)/tee-run $(B)/tee-health $(B)/tee-bench
	install -D -m 0755 -t $(DESTDIR)$(sbindir) $(B)/tee-agent $(B)/tee-install
	install -D -m 0755 -t $(DESTDIR)$(libdir)/tee $(B)/tee-guest $(B)/keep-memory.so
	install -D -m 0644 -t $(DESTDIR)$(libdir)/tee/adapters guest/adapters/deno.ts guest/adapters/node.cjs
	install -D -m 0644 -t $(DESTDIR)$(libdir)/tee/adapters/python guest/adapters/python/sitecustomize.py
	install -d $(DESTDIR)$(unitdir)
	for unit in $(units); do \
		sed -e 's|@SBINDIR@|$(sbindir)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' units/$$unit \
			>$(DESTDIR)$(unitdir)/$$unit || exit; \
	done
	install -D -m 0644 units/tee-agent.sysusers $(DESTDIR)$(libdir)/sysusers.d/tee-agent.conf
	install -D -m 0644 units/tee-agent.tmpfiles $(DESTDIR)$(libdir)/tmpfiles.d/tee-agent.conf
	install -D -m 0644 -t $(DESTDIR)$(docdir) README.md LICENSE $(wildcard docs/*.md docs/*.yaml docs/*.json docs/*.svg)
	install -D -m 0644 -t $(DESTDIR)$(docdir)/examples examples/hello.ts
	install -D -m 0644 -t $(DESTDIR)$(docdir)/monitoring $(wildcard docs/monitoring/*)
	install -D -m 0644 -t $(DESTDIR)$(libdir)/systemd/catalog units/tee-agent.catalog
	install -D -m 0644 -t $(DESTDIR)$(completiondir) $(addprefix packaging/completions/,$(completions))
	for manual in $(manuals); do \
		install -D -m 0644 docs/man/$${manual#*/} $(DESTDIR)$(mandir)/$$manual || exit; \
	done
	install -d $(DESTDIR)$(SYSCONFDIR)/tee
	test -e $(DESTDIR)$(SYSCONFDIR)/tee/tee.conf || install -m 0644 -t $(DESTDIR)$(SYSCONFDIR)/tee conf/tee.conf

uninstall: ## the reverse of install; leaves tee.conf
	rm -f $(addprefix $(DESTDIR)$(bindir)/,tee-run tee-health tee-bench) $(addprefix $(DESTDIR)$(sbindir)/,tee-agent tee-install)
	rm -f $(addprefix $(DESTDIR)$(libdir)/,tee/tee-guest tee/keep-memory.so sysusers.d/tee-agent.conf tmpfiles.d/tee-agent.conf)
	rm -rf $(DESTDIR)$(libdir)/tee/adapters
	rm -f $(addprefix $(DESTDIR)$(unitdir)/,$(units))
	rm -rf $(DESTDIR)$(docdir)
	rm -f $(DESTDIR)$(libdir)/systemd/catalog/tee-agent.catalog
	rm -f $(addprefix $(DESTDIR)$(completiondir)/,$(completions))
	rm -f $(addprefix $(DESTDIR)$(mandir)/,$(manuals))
	-rmdir $(DESTDIR)$(libdir)/tee

clean: ## end what runs, and delete all that was made (not what was fetched: build/cache)
	@tests/dev/clean

distclean: ## the same with build/cache
	@tests/dev/clean --all

# ---- Rules

build: all

deps:
	@$(DEPS) $(if $(installing),,--check) $(deps)

$(B)/obj/%.o: %.c Makefile | deps
	$(call say,cc,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(common) $(includes_of_$(firstword $(subst /, ,$<))) $(package_cflags) $(CPPFLAGS) $(CFLAGS) $(variant) \
		-c -o $@ $<

# The guest is static, so it can have no sanitizer's library: SANITIZE=1 has undefined behaviour kill it.
$(B)/static/obj/%.o: %.c Makefile | deps
	$(call say,cc,'$< (static)')
	@mkdir -p $(@D)
	$(Q)$(CC) $(common) $(CPPFLAGS) $(CFLAGS) $(if $(SANITIZE),$(trapping),$(fortify)) -c -o $@ $<

build/fuzz/obj/%.o: %.c Makefile | deps
	$(call say,cc,'$< (fuzz)')
	@mkdir -p $(@D)
	$(Q)clang $(common) $(includes_of_$(firstword $(subst /, ,$<))) $(package_cflags) $(CPPFLAGS) $(CFLAGS) $(fuzzing) \
		-c -o $@ $<

includes_of_agent := -Iagent
includes_of_build := -Ihealth
includes_of_client := -Iclient
includes_of_guest := -Iguest
includes_of_health := -Ihealth
includes_of_installer := -Iinstaller
includes_of_tests := -Iagent -Iclient -Iguest -Ihealth -Iinstaller -Itests/unit

# The archives of everything but the main functions
archives = $(addprefix $(1)/,agent.a client.a guest.a health.a installer.a libtee.a)

# The folders are among what they are made of, so that a source that has gone is in none of them any more.
define archive_rules
$(1)/unit.a: $(call objects,$(1),$(unit)) tests/unit
$(1)/agent.a: $(call objects,$(1),$(agent)) agent
$(1)/client.a: $(call objects,$(1),$(client)) client
$(1)/guest.a: $(call objects,$(1),$(guest)) guest
$(1)/health.a: $(call objects,$(1),$(health) $(1)/page-texts.c) health
$(1)/installer.a: $(call objects,$(1),$(installer)) installer
$(1)/libtee.a: $(call objects,$(1),$(lib)) lib
$(1)/unit.a $(call archives,$(1)):
	$$(call say,ar,$$@)
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$(filter %.o,$$^)

$(1)/page-texts.c: health/embed-pages $(pages) health/pages
	$$(call say,embed,$$@)
	@mkdir -p $$(@D)
	$$(Q)health/embed-pages $$(filter %.txt,$$^) >$$@
endef
$(eval $(call archive_rules,$(B)))
$(eval $(call archive_rules,build/fuzz))

link = $(CC) $(CFLAGS) $(variant) -fPIE -pie $(linking) $(LDFLAGS) -o $@ $^

$(B)/tee-agent: $(B)/obj/agent/main.o $(B)/agent.a $(B)/libtee.a
	$(call say,link,$@)
	$(Q)$(link) $(package_libs)

$(B)/tee-run $(B)/tee-bench: $(B)/%: $(B)/obj/client/%.o $(B)/client.a $(B)/libtee.a
	$(call say,link,$@)
	$(Q)$(link) $(package_libs)

$(B)/tee-health: $(B)/obj/health/main.o $(B)/health.a $(B)/libtee.a
	$(call say,link,$@)
	$(Q)$(link) $(package_libs)

$(B)/tee-install: $(B)/obj/installer/main.o $(B)/installer.a $(B)/libtee.a
	$(call say,link,$@)
	$(Q)$(link) $(package_libs)

$(B)/tee-guest: $(call objects,$(B)/static,guest/main.c $(guest) lib/frame.c)
	$(call say,link,$@)
	$(Q)$(CC) $(CFLAGS) -fPIE -static-pie $(linking) $(LDFLAGS) -o $@ $^

# Goes into an image, beside the guest.
$(B)/keep-memory.so: guest/adapters/keep-memory.c Makefile | deps
	$(call say,link,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(language) $(warnings) $(hardening) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -nostdlib $(linking) $(LDFLAGS) -o $@ $<

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/unit.a $(call archives,$(B))
	$(call say,link,$@)
	@mkdir -p $(@D)
	$(Q)$(link) $(package_libs) $(cmocka_libs)

build/fuzz/%: build/fuzz/obj/tests/fuzz/%.o $(call archives,build/fuzz)
	$(call say,link,$@)
	$(Q)clang $(CFLAGS) -fsanitize=fuzzer $(sanitizers) -pie $(linking) $(LDFLAGS) -o $@ $^ $(package_libs)

-include $(shell find build/release build/asan build/fuzz -name '*.d' 2>/dev/null)
