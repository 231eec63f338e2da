# `just` alone lists what there is.

_list:
    @just --list --unsorted

# builds the program, and shows it at work in a temporary home
demo:
    cargo run --release -- demo

# all tests; those that need an absent program or suite are skipped with a notice
test *ARGS:
    cargo test {{ ARGS }}

# all tests; an absent program or suite is an error
test-all:
    POSTSEAL_REQUIRE_ALL=1 cargo test

# random rules and mail through every transport (half an hour for 100,000 messages, the default number)
gateway COUNT='100000':
    POSTSEAL_MAILS={{ COUNT }} cargo test --test service nothing_leaves -- --nocapture

# mixed and hostile mail through Postfix and the service while processes are killed, the disk is full, keys, token and database are away and the clock jumps
soak MINUTES='180':
    POSTSEAL_REQUIRE_ALL=1 POSTSEAL_SOAK_MINUTES={{ MINUTES }} cargo test --test service a_day_in_a_hurry -- --nocapture

# so many good messages alone, and beside a tenth as many hostile ones
beside GOOD='10000':
    POSTSEAL_REQUIRE_ALL=1 POSTSEAL_BESIDE={{ GOOD }} cargo test --test service beside_hostile_mail -- --nocapture

# changed messages, compared with what other mail readers show (minutes; 400,000 messages by default)
readers COUNT='400000':
    POSTSEAL_REQUIRE_ALL=1 POSTSEAL_READERS={{ COUNT }} cargo test --test interop readers -- --nocapture

# the module structure
layers:
    cargo test --test layers

# formatting and lints, as CI has them
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# everything that CI runs
ci:
    .ci/run

# a static, link-time-optimized program, target/dist/postseal (about ten minutes; needs the static archive of the C library)
release:
    cargo executable

# the figures of docs/performance.md
bench *ARGS:
    cargo bench {{ ARGS }}

# licences, advisories, sources, as CI checks them
deny:
    .ci/deny

# mutants of the code that decides on a verdict, each with its tests (hours; needs cargo-mutants)
mutants *ARGS:
    .ci/mutants {{ ARGS }}

# fuzz one target for a minute (needs cargo-fuzz); all of them, as CI does: .ci/fuzz
fuzz TARGET:
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{ TARGET }} -- -max_total_time=60

# docs/ as HTML, in target/book (needs mdbook: cargo install --locked mdbook@0.5.4)
book:
    mdbook build

# the documentation of the library
doc:
    cargo doc --no-deps --open
