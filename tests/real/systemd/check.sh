#!/usr/bin/env bash
# Runs inside the booted tree, in a copy of the repository: installs as the documentation says, and
# writes what it sees to /results/facts, a line `NAME VALUE` each.
set -uo pipefail
ingest=http://127.0.0.1:8001 enrich=http://127.0.0.1:8002

fact() { printf '%s\n' "$*" | tee -a /results/facts; }

# what is waited for may take 30 s
eventually() {
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then echo "never came: $*"; journalctl --no-pager -n 60; exit 1; fi
    sleep 0.1
  done
}

# the commands of the documentation's nth block
documented() { awk -v n="$1" '/^```/ {inside = /^```sh/; k += inside; next} inside && k == n' install-systemd.md; }
number() { curl -s "$1/metrics" | awk -v name="$2" '$1 == name {print $2; found = 1} END {if (!found) print 0}'; }
above() { [ "$(number "$1" "$2")" -gt "$3" ]; }
property() { systemctl show -P "$2" "ha-ingestor-$1"; }
restarted() { [ "$(property "$1" NRestarts)" = 1 ]; }
both_ready() { ha-ingestor-ingest health && ha-ingestor-enrich health; }

dist/simulated-house-linux-x64 --port 8123 --rate 600 --token the-token &

set -e
eval "$(documented 1)"
sed -i 's|^HASS_URL=.*|HASS_URL=http://127.0.0.1:8123|' /etc/ha-ingestor/ingest.env
eval "$(documented 2)" <<<the-token
set +e

for program in ingest enrich; do
  fact "$program.verified" "$(systemd-analyze verify "/etc/systemd/system/ha-ingestor-$program.service" 2>&1 && echo clean)"
  fact "$program.exposure" "$(systemd-analyze security --no-pager "ha-ingestor-$program" | sed -n 's/.*exposure level for.*: \([0-9.]*\) .*/\1/p')"
done
eventually both_ready
eventually above $enrich enrich_events_stored_total 50
for program in ingest enrich; do
  pid=$(property $program MainPID)
  fact "$program.process" "$(awk '/^(Seccomp|NoNewPrivs|CapBnd|CapEff):/ {printf "%s%s ", $1, $2} /^Uid:/ {printf "%s ", ($2 > 60000 ? "dynamic" : "user:" $2)}' "/proc/$pid/status")"
done

# SIGKILL: started again, and what it does goes on
for program in ingest enrich; do
  kill -KILL "$(property $program MainPID)"
  eventually restarted $program
  eventually both_ready
  fact "$program.restarts" "$(property $program NRestarts)"
  stored=$(number $enrich enrich_events_stored_total)
  eventually above $enrich enrich_events_stored_total $((stored + 20))
done

# the upgrade and the way back of the documentation
for step in upgrade rollback; do
  command=$(documented 4 | sed -n "$([ $step = upgrade ] && echo 1 || echo 2)p")
  if eval "$command"; then fact $step "done"; fi
  eventually both_ready
done

# nothing but the state directory can be written; without the unit it could be
mkdir -p /run/systemd/system/ha-ingestor-enrich.service.d
printf '[Service]\nEnvironment=DATA_DIR=/var/lib/elsewhere\n' >/run/systemd/system/ha-ingestor-enrich.service.d/elsewhere.conf
systemctl daemon-reload
systemctl restart ha-ingestor-enrich
refused() { journalctl --no-pager -u ha-ingestor-enrich | grep 'DATA_DIR (.*: the file system is read-only)' >/dev/null; }
eventually refused && fact elsewhere.inside refused
rm -r /run/systemd/system/ha-ingestor-enrich.service.d
systemctl daemon-reload
DATA_DIR=/var/lib/elsewhere ENRICH_PORT=0 timeout -k 1 2 ha-ingestor-enrich
[ -e /var/lib/elsewhere/store.sqlite ] && fact elsewhere.outside written
systemctl restart ha-ingestor-enrich
eventually both_ready

# a wrong setting is not tried again
sed -i 's|^HASS_URL=.*|HASS_URL=homeassistant.local|' /etc/ha-ingestor/ingest.env
systemctl restart ha-ingestor-ingest
failed() { systemctl is-failed ha-ingestor-ingest; }
eventually failed
fact wrong.status "$(property ingest ExecMainStatus)"
fact wrong.told "$(journalctl --no-pager -u ha-ingestor-ingest | grep -c 'HASS_URL must begin with http')"
sed -i 's|^HASS_URL=.*|HASS_URL=http://127.0.0.1:8123|' /etc/ha-ingestor/ingest.env
systemctl reset-failed ha-ingestor-ingest
systemctl start ha-ingestor-ingest
eventually both_ready

received=$(number $ingest ingest_events_received_total)
eventually above $ingest ingest_events_received_total $((received + 20))
curl -s $ingest/metrics >/results/ingest.metrics
for program in ingest enrich; do
  started=$(date +%s%3N)
  systemctl stop "ha-ingestor-$program"
  fact "$program.stopped" "$(property $program Result) $(property $program ExecMainStatus)"
  fact "$program.stop_ms" $(($(date +%s%3N) - started))
done
cp /var/lib/private/ha-ingestor-enrich/store.sqlite /results/
fact state "$(stat -c '%a' /var/lib/private/ha-ingestor-ingest /var/lib/private/ha-ingestor-ingest/outbox.sqlite | xargs)"
