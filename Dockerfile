# One image for serve, container and edge: see docs/deploy.md. Each RUN is a script that works without Docker too, and
# test/image/ follows this file step by step in a clean folder.

# What compiles: CUDA 12.4 or newer, or a plain Ubuntu or Debian for CPUs only. NVIDIA removes the images of toolkits it no longer
# supports. glibc 2.39 here, 2.41 in the stage that runs: what is built on the older one runs on the newer one.
ARG BUILD_IMAGE=docker.io/nvidia/cuda:12.8.1-devel-ubuntu24.04

FROM docker.io/library/node:26.10.0-trixie-slim AS node

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY scripts/image/packages.sh scripts/image/
RUN ["scripts/image/packages.sh"]
COPY --from=node /usr/local/ /usr/local/
COPY package.json package-lock.json ./
COPY scripts/image/install.sh scripts/image/
RUN ["scripts/image/install.sh"]
COPY native native
COPY scripts/buildNative.mjs scripts/
COPY scripts/image/build.sh scripts/image/
RUN ["scripts/image/build.sh"]
COPY edge edge
COPY runtime runtime
COPY scripts/image/layout.mjs scripts/image/healthcheck.mjs scripts/image/
RUN ["scripts/image/layout.mjs", "/out"]

FROM docker.io/library/node:26.10.0-trixie-slim
# The driver comes from the host, by way of the NVIDIA container toolkit. Models are kept in /data.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NODE_ENV=production \
    HF_HOME=/data \
    XDG_CACHE_HOME=/data/cache
WORKDIR /app
COPY --from=build /out/app ./
COPY --from=build --chown=1000:1000 /out/data /data
# `node` in this image; a number lets orchestrators see that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 1234 8443
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "/app/healthcheck.mjs"]
# Node is process 1 and needs no init: every server handles SIGTERM and SIGINT, and starts no process that it does not wait for.
ENTRYPOINT ["node", "/app/runtime/cli/main.ts"]
CMD ["serve"]
