#!/bin/sh
# Installs what compiling native/ needs on Debian and Ubuntu; runs as root. Make and git are not needed.
set -eu
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends cmake g++ ninja-build
rm -rf /var/lib/apt/lists/*
