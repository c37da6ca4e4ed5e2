/** What `get_config` answers, its keys in the order of each release. */
import type { Version } from "./clock.ts";

/** The JSON text of the configuration. `state` is `NOT_RUNNING` until everything has started. */
export function configText(
  version: Version,
  state: "NOT_RUNNING" | "RUNNING",
  components: readonly string[],
): string {
  return JSON.stringify(
    version === "2024.3.3"
      ? {
        ...PLACE_2024,
        components,
        config_dir: "/config",
        whitelist_external_dirs: DIRECTORIES,
        allowlist_external_dirs: DIRECTORIES,
        allowlist_external_urls: [],
        version,
        config_source: "yaml",
        recovery_mode: false,
        state,
        external_url: null,
        internal_url: null,
        currency: "EUR",
        country: "NL",
        language: "en",
        safe_mode: false,
      }
      : {
        allowlist_external_dirs: DIRECTORIES,
        allowlist_external_urls: [],
        components,
        config_dir: "/config",
        config_source: "yaml",
        country: "NL",
        currency: "EUR",
        debug: false,
        elevation: 10,
        external_url: null,
        internal_url: null,
        language: "en",
        latitude: 52.3731,
        location_name: "Simulated house",
        ...version === "2026.11.0" ? { logging: { log_file_disabled_reason: null } } : {},
        longitude: 4.8903,
        radius: 100,
        recovery_mode: false,
        safe_mode: false,
        state,
        time_zone: "UTC",
        unit_system: {
          length: "km",
          accumulated_precipitation: "mm",
          area: "m²",
          ...UNITS,
        },
        version,
        whitelist_external_dirs: DIRECTORIES,
      },
  );
}

const DIRECTORIES = ["/config/www", "/media"];
const UNITS = {
  mass: "g",
  pressure: "Pa",
  temperature: "°C",
  volume: "L",
  wind_speed: "m/s",
};
const PLACE_2024 = {
  latitude: 52.3731,
  longitude: 4.8903,
  elevation: 10,
  unit_system: { length: "km", accumulated_precipitation: "mm", ...UNITS },
  location_name: "Simulated house",
  time_zone: "UTC",
};
