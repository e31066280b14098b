# Two images: `docker build .` makes ours, `docker build --target init .` that of the init container. `buildah bud` takes the same.
# The bases are pinned by tag; --build-arg pins them by digest, or takes them from a mirror.
ARG DENO=docker.io/denoland/deno:debian-2.9.6
ARG DEBIAN=docker.io/library/debian:12.12-slim
ARG DISTROLESS=gcr.io/distroless/cc-debian12:nonroot

# iptables with both back ends, the libraries that it loads, and a shell: busybox, for its nc and tftp, with which redirect.sh tries its
# own rules.
FROM ${DEBIAN} AS iptables
RUN apt-get update && apt-get install --yes --no-install-recommends iptables busybox-static
RUN set -eu; \
    programs="/usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi $(ls /usr/lib/*/xtables/libxt_* /usr/lib/*/xtables/libip*t_*)"; \
    libraries=$(ldd $programs | awk '$2 == "=>" && $3 ~ "^/" { print $3 } $1 ~ "^/lib.*[^:]$" { print $1 }' | sort -u); \
    tar --create --dereference --file=/image.tar $programs $libraries /bin/busybox; \
    mkdir /image; \
    tar --extract --file=/image.tar --directory=/image; \
    for tool in iptables ip6tables; do for backend in nft legacy; do for act in '' -save -restore; do \
      ln -s "xtables-$backend-multi" "/image/usr/sbin/$tool-$backend$act"; \
    done; done; done; \
    for applet in sh nc tftp; do ln -s busybox "/image/bin/$applet"; done; \
    for backend in nft legacy; do chroot /image "/usr/sbin/iptables-$backend" --version; done

FROM scratch AS init
COPY --from=iptables /image/ /
ENV PATH=/usr/sbin:/bin

FROM ${DENO} AS build
WORKDIR /src
COPY . .
RUN deno task compile --for=image --output=/data-spacer

FROM ${DISTROLESS}
COPY --from=build /data-spacer /usr/local/bin/data-spacer
USER 65532:65532
ENV MALLOC_ARENA_MAX=1
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/data-spacer"]
