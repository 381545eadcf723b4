# make scenario [S=nlb-hairpin]   run the scenarios: what was observed against what is expected
# make test                       the tests: no network, no containers, under a minute once built
# make images && make e2e         the scenarios on a real cluster in Docker: README.md, "On a real cluster"
# make help                       the rest

GO      ?= go
BIN     ?= ekslab
LDFLAGS ?= -s -w
E2E_TIMEOUT ?= 45m
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: scenario test oracle bench golden lint fuzz build cross images e2e clean help

scenario: build          ## run all scenarios, or one with S=slug; more flags in ARGS
	./$(BIN) run $(S) $(ARGS)

test:                    ## all tests
	$(GO) test ./...

oracle:                  ## the VPC CNI's data store against that of the real plugin, a module of its own (Linux; fetches its dependencies)
	cd sim/cni/ipamd/oracle && $(GO) vet ./... && $(GO) test -count=1 ./...

bench:                   ## benchmarks of the engine, the packet path, the control plane and whole scenarios
	$(GO) test -run '^$$' -bench . -benchmem ./...

golden:                  ## rewrite golden files and dialogues; look at the diff before you commit it
	$(GO) test ./harness/backend/simulated ./scenarios -run 'Golden|README' -update
	$(GO) test $$(grep -rl cockroachdb/datadriven --include='*_test.go' sim | xargs -r -n1 dirname | sort -u | sed 's|^|./|') -run Data -args -rewrite

lint:                    ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz:                    ## fuzz the decoder of scenario files for a minute
	$(GO) test ./harness/scenario -run '^$$' -fuzz FuzzLoad -fuzztime 60s -fuzzminimizetime 10x

build:                   ## the binary, ./ekslab
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) .

cross:                   ## binaries for every platform, into dist/
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
	  ext=; test $$os = windows && ext=.exe; \
	  echo "dist/ekslab-$$os-$$arch$$ext"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/ekslab-$$os-$$arch$$ext . || exit 1; \
	done; done

images:                  ## images of a real cluster, built where they cannot be pulled: all, or IMAGES=node; --build in ARGS pulls none
	e2e/images/make-images $(ARGS) $(IMAGES)

e2e:                     ## the scenarios on a real cluster in Docker; needs Docker and images; fewer by ARGS=-ginkgo.label-filter=...
	EKSLAB_E2E=1 $(GO) test ./e2e -count=1 -v -timeout $(E2E_TIMEOUT) $(ARGS)

clean:                   ## what the targets above made
	rm -rf $(BIN) dist

help:                    ## this list
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 12
