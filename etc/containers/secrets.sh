#!/bin/sh
# Makes up the secrets of compose.yaml at the first start, each in the volumes of those who need it;
# with `show` it tells them.
set -eu
cd /secrets

# one secret in each of these files; what is there already stays
same() {
  secret=
  for file in "$@"; do [ ! -s "$file" ] || secret=$(cat "$file"); done
  [ -n "$secret" ] || secret=$(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n')
  for file in "$@"; do
    [ -s "$file" ] && continue
    # renamed, so that a start that is cut off leaves no half of one
    printf %s "$secret" >"$file.new"
    mv "$file.new" "$file"
  done
}

same ingest/SERVICE_TOKEN enrich/SERVICE_TOKEN
same influxdb/token grafana/influxdb_token
same influxdb/password
same victoriametrics/password grafana/victoriametrics_password
same grafana/password

# a new volume is root's, and VictoriaMetrics is not root
chmod 777 /victoriametrics

started() { case ",$(printf %s "${COMPOSE_PROFILES:-}" | tr -d ' ')," in *",$1,"* | *,\*,*) ;; *) false ;; esac }

written() { cat >"$1.new" && mv "$1.new" "$1"; }

# the database of compose.yaml, which enrich takes where no other is named, and the dashboards that ask it
dashboards=/etc/grafana/dashboards
# its token stood alone before
rm -f enrich/INFLUXDB_TOKEN
if started influxdb; then
  written enrich/influxdb.yaml <<YAML
influxdb:
  api_version: 2
  host: influxdb
  port: 8086
  ssl: false
  organization: home
  bucket: home
  token: "$(cat influxdb/token)"
YAML
elif started victoriametrics; then
  dashboards=/etc/grafana/victoriametrics
  written enrich/influxdb.yaml <<YAML
influxdb:
  host: victoriametrics
  port: 8428
  database: home
  username: ha-ingestor
  password: "$(cat victoriametrics/password)"
YAML
else
  rm -f enrich/influxdb.yaml
fi
printf %s "$dashboards" | written grafana/dashboards
printf %s "$dashboards/house.json" | written grafana/home_dashboard

if [ "${1:-}" = show ]; then
  echo "ingest, enrich   any user, password $(cat ingest/SERVICE_TOKEN) (SERVICE_TOKEN)"
  echo "InfluxDB         user admin, password $(cat influxdb/password), token $(cat influxdb/token)"
  echo "VictoriaMetrics  user ha-ingestor, password $(cat victoriametrics/password)"
  echo "Grafana          user admin, password $(cat grafana/password)"
else
  echo "The secrets are there. To read them: docker compose run --rm secrets show"
fi
