#!/usr/bin/env bash
# Finds or installs the Chromium that the browser tests drive. Where none can be had the tests skip and say so.
set -u
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo "Installing Chromium for the browser tests…"
  if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core; } >/dev/null 2>&1; then
    exit 0
  fi
fi
echo "Installing the browser that Playwright brings…"
.venv/bin/playwright install chromium >/dev/null 2>&1 && exit 0
echo "No Chromium could be installed: the browser tests will be skipped. Install chromium, then run this again."
exit 0
