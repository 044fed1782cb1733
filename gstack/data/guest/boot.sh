#!/bin/sh
# What this instance's metadata asks of it, at every boot. Written by gstack.
umask 077
root=${GSTACK_ROOT:-}
own=$root/etc/gstack
scripts=$root/var/lib/cloud/scripts/per-boot
mkdir -p "$own" "$scripts"
rm -f "$scripts"/gstack-*
if [ -f "$own/users" ]; then mv "$own/users" "$own/users.before"; fi
: > "$own/users"

# keep FILE: what stands on stdin.
keep() {
    cat > "$own/$1"
}

# at_boot NAME: a program on stdin, for cloud-init to run when the machine is up.
at_boot() {
    cat > "$scripts/gstack-$1"
    chmod 0700 "$scripts/gstack-$1"
}

# user NAME: an account with the keys on stdin.
user() {
    id "$1" > /dev/null 2>&1 || useradd -m -s /bin/bash "$1" || adduser -D -s /bin/sh "$1" || return
    echo "$1" >> "$own/users"
    authorise "$1"
}

# authorise NAME: the keys on stdin, in the place of those that gstack wrote before. Other keys stay.
authorise() {
    home=$root$(getent passwd "$1" | cut -d : -f 6)
    if [ ! -d "$home" ] || [ -L "$home/.ssh" ] || [ -L "$home/.ssh/authorized_keys" ]; then return; fi
    mkdir -p "$home/.ssh"
    touch "$home/.ssh/authorized_keys"
    sed '/^# gstack begins$/,/^# gstack ends$/d' "$home/.ssh/authorized_keys" > "$own/keys"
    sed '1s/^/# gstack begins\n/; $s/$/\n# gstack ends/' >> "$own/keys"
    cat "$own/keys" > "$home/.ssh/authorized_keys"
    rm "$own/keys"
    chown -R "$1:" "$home/.ssh"
}

# finish: who is no longer named loses what gstack gave, and keeps the account.
finish() {
    if [ -f "$own/users.before" ]; then
        while read -r name; do
            grep -qxF "$name" "$own/users" || authorise "$name" < /dev/null
        done < "$own/users.before"
        rm "$own/users.before"
    fi
    if [ -d "$root/etc/sudoers.d" ]; then
        sed 's/$/ ALL=(ALL) NOPASSWD:ALL/' "$own/users" > "$root/etc/sudoers.d/gstack"
        chmod 0440 "$root/etc/sudoers.d/gstack"
    fi
}
