#!/bin/sh
# Installs the packages of package-lock.json. Their install scripts fetch binaries that neither build nor image need.
set -eu
cd "$(dirname "$0")/../.."
npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
