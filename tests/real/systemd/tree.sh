#!/usr/bin/env bash
# tree.sh DIR: a small Debian in DIR, whose systemd the tests boot. As root; needs debootstrap.
set -euo pipefail
[ -x "$1/lib/systemd/systemd" ] ||
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,procps bookworm "$1" >/dev/null
