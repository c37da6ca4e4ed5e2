#!/usr/bin/env bash
# boot.sh TREE COMPILED: boots the systemd of TREE as PID 1, has it run check.sh, and powers off.
# Leaves in TREE/results what check.sh wrote. As root; needs systemd-container.
# Enforced inside: users, directories, credentials, system calls, capabilities, name spaces.
# Not enforced: MemoryMax and TasksMax, for cgroups may be read-only in there.
set -euo pipefail
tree=$1 compiled=$2
here=$(cd "$(dirname "$0")" && pwd)
repository=$here/../../..
rm -rf "$tree"/results "$tree"/opt/ha-ingestor "$tree"/usr/local/bin/* "$tree"/etc/ha-ingestor "$tree"/etc/credstore \
  "$tree"/etc/systemd/system/ha-ingestor-* "$tree"/etc/systemd/system/*.wants \
  "$tree"/var/lib/ha-ingestor-* "$tree"/var/lib/private "$tree"/var/lib/elsewhere "$tree"/var/log/journal
mkdir -p "$tree"/results "$tree"/opt/ha-ingestor/dist "$tree"/etc/systemd/system/default.target.wants
cp "$compiled"/*-linux-x64 "$tree"/opt/ha-ingestor/dist/
cp -r "$repository"/etc "$tree"/opt/ha-ingestor/
cp "$repository"/docs/install-systemd.md "$here"/check.sh "$tree"/opt/ha-ingestor/
printf '127.0.0.1 localhost\n::1 localhost\n' >"$tree"/etc/hosts
cat >"$tree"/etc/systemd/system/check.service <<'U'
[Unit]
After=multi-user.target
[Service]
WorkingDirectory=/opt/ha-ingestor
ExecStart=/bin/bash -c 'bash check.sh >/results/log.txt 2>&1; echo $? >/results/status; sync; systemctl poweroff'
U
ln -s ../check.service "$tree"/etc/systemd/system/default.target.wants/
timeout 120 systemd-nspawn -q -D "$tree" --register=no --keep-unit --private-network --console=pipe \
  --system-call-filter=bpf --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON -b \
  >"$tree"/results/console.txt 2>&1 </dev/null || true
