# Targets: `attestry` (the service; the default) and `mail-sink` (for docker-compose.yml, takes mail and shows it).

FROM rust:1-bookworm AS sources
WORKDIR /attestry
ENV SQLX_OFFLINE=true
# The dependencies first, against empty sources: a change to attestry alone does not compile them again.
COPY Cargo.toml Cargo.lock build.rs ./
COPY xtask/Cargo.toml xtask/
RUN mkdir -p src xtask/src migrations \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs > xtask/src/main.rs \
    && cargo build --release --locked --bin attestry
COPY . .
RUN touch src/lib.rs src/main.rs

FROM sources AS build-mail-sink
RUN cargo build --release --locked --example mail_sink

FROM debian:bookworm-slim AS mail-sink
COPY --from=build-mail-sink /attestry/target/release/examples/mail_sink /usr/local/bin/mail-sink
USER 10001:10001
EXPOSE 1025 8025
CMD ["mail-sink", "0.0.0.0:1025", "0.0.0.0:8025"]

FROM sources AS build
RUN cargo build --release --locked --bin attestry

FROM debian:bookworm-slim AS attestry
COPY --from=build /attestry/target/release/attestry /usr/local/bin/attestry
USER 10001:10001
ENV ATTESTRY_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${ATTESTRY_LISTEN##*:} && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["attestry"]
CMD ["serve"]
