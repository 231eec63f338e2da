# `just` alone lists what there is.

_list:
    @just --list --unsorted

# the main job, from nothing: two identities, a message signed, encrypted, decrypted, verified
tour:
    cargo run --release --example tour

# all tests; programs and suites that are absent are skipped, loudly
test *ARGS:
    cargo test {{ ARGS }}

# all tests; absence fails
test-all:
    POSTSEAL_REQUIRE_ALL=1 cargo test

# any rules, any mail, any way in (half an hour for 100,000 messages); the number of messages may be given
gateway COUNT='100000':
    POSTSEAL_MAILS={{ COUNT }} cargo test --test gateway nothing_leaves -- --nocapture

# every change of every genuine message, and as many together, shown to other readers of mail (minutes); the number of changed messages may be given
readers COUNT='400000':
    POSTSEAL_REQUIRE_ALL=1 POSTSEAL_READERS={{ COUNT }} cargo test --test readers -- --nocapture

# the floor plan alone
layers:
    cargo test --test layers

# formatting and lints, as CI has them
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# what CI runs, whole
ci:
    .ci/run

# the program as it is handed out, target/dist/postseal: optimized whole and without shared libraries, so that each run takes a
# millisecond less (takes minutes, and needs the C library's static archive)
release:
    cargo executable

# the figures of docs/performance.md
bench *ARGS:
    cargo bench {{ ARGS }}

# licences, advisories, sources, as CI checks them
deny:
    .ci/deny

# mutants of what decides on a standing, each with the tests that concern it; takes hours (needs cargo-mutants)
mutants *ARGS:
    .ci/mutants {{ ARGS }}

# fuzz one target for a minute (needs cargo-fuzz); all of them, as CI does: .ci/fuzz
fuzz TARGET:
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{ TARGET }} -- -max_total_time=60

# the documentation of the library
doc:
    cargo doc --no-deps --open
