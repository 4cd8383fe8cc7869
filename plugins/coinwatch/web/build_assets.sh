#!/bin/sh
# Installs the front-end libraries from npm into static/vendor/ (git-ignored). Needs `node` on PATH, with the npm that
# comes with it. Safe to run again: does nothing if nothing changed.
set -eu
cd "$(dirname "$0")"

wanted=$(cat package-lock.json build_assets.sh | cksum)
if [ "$(cat static/vendor/.built-from 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

if ! command -v node >/dev/null 2>&1; then
    echo "build_assets.sh: 'node' is not on PATH. Install Node 18 or later, or add its folder to PATH." >&2
    exit 1
fi

# The nodejs wheel has npm as a script next to node, not as a command on PATH.
run_npm() {
    if command -v npm >/dev/null 2>&1; then
        npm "$@"
        return
    fi
    prefix=$(node -p 'require("path").dirname(require("path").dirname(require("fs").realpathSync(process.execPath)))')
    node "$prefix/lib/node_modules/npm/bin/npm-cli.js" "$@"
}

run_npm ci --ignore-scripts --no-audit --no-fund --silent || {
    echo "build_assets.sh: npm could not install the packages in package-lock.json. Run 'npm ci' here to see why." >&2
    exit 1
}

fresh=static/.vendor.$$
trap 'rm -rf "$fresh"' EXIT
mkdir -p "$fresh/lightweight-charts"
cp node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.js node_modules/lightweight-charts/LICENSE \
    "$fresh/lightweight-charts/"
echo "$wanted" >"$fresh/.built-from"
rm -rf static/vendor
mv "$fresh" static/vendor
