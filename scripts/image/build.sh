#!/bin/sh
# Compiles native/ into build/native.
set -eu
cd "$(dirname "$0")/../.."
node scripts/buildNative.mjs
