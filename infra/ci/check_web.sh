#!/usr/bin/env bash
# The page: types, lint and unit tests, and that the committed build is the build of the committed source.
set -euo pipefail
cd "$(dirname "$0")/../../api/web"
if ! command -v npm >/dev/null 2>&1; then
  echo "Node is not installed: the page's own checks are skipped (the built page is committed and still tested)."
  exit 0
fi
# `npm install` and not `npm ci`: the lock file npm writes here leaves out other platforms' optional packages, and `ci` refuses it.
[ -d node_modules ] || npm install --no-save --no-audit --no-fund --silent
npm run --silent check
npm run --silent build
git add --intent-to-add dist
if ! git diff --quiet -- dist; then
  echo "api/web/dist is not the build of the committed source. Run 'make web' and commit the result."
  git --no-pager diff --stat -- dist
  exit 1
fi
