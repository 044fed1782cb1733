#!/bin/sh
# Fetches the startup script of this instance and runs it. Written by gstack.
umask 077
folder=$(mktemp -d "${GSTACK_ROOT:-}/var/lib/cloud/gstack.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
if command -v curl > /dev/null; then
    curl -fsSL --retry 5 --retry-connrefused -o "$folder/script" "$url"
else
    wget -q -O "$folder/script" "$url"
fi || { echo "The startup script could not be fetched from $url" >&2; exit 1; }
case $(head -c 2 "$folder/script") in
    '#!') chmod 0700 "$folder/script"; "$folder/script" ;;
    *) bash "$folder/script" ;;
esac
