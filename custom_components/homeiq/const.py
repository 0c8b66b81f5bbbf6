"""Name what the integration's files share."""

import logging
from typing import Final

DOMAIN: Final = "homeiq"
LOGGER: Final = logging.getLogger(__package__)

STORE_FOLDER: Final = "homeiq"
STORE_FILE: Final = "homeiq.db"

CONF_BACKFILL: Final = "backfill"
CONF_RETENTION_DAYS: Final = "retention_days"
CONF_ATTRIBUTE_EVENTS: Final = "attribute_events"
CONF_POSITIONS: Final = "positions"
CONF_INCLUDE: Final = "include"
CONF_EXCLUDE: Final = "exclude"
CONF_GLOBS: Final = "globs"
CONF_LABELS: Final = "labels"
CONF_AREAS: Final = "areas"
CONF_DEVICE_CLASSES: Final = "device_classes"
CONF_INTEGRATIONS: Final = "integrations"
CONF_DOMAINS: Final = "domains"

DEFAULT_RETENTION_DAYS: Final = 90
MAX_RETENTION_DAYS: Final = 3_650

SUBENTRY_INFLUXDB: Final = "influxdb"
CONF_ORG: Final = "org"
CONF_BUCKET: Final = "bucket"
CONF_CA: Final = "ca_pem"
CONF_SERVER: Final = "server"
CONF_LAYOUT: Final = "layout"
CONF_HOME: Final = "home"
CONF_START: Final = "start"
CONF_START_DAYS: Final = "start_days"
CONF_SINCE_US: Final = "since_us"
CONF_BEGUN_US: Final = "begun_us"
CONF_VERIFY_READS: Final = "verify_reads"
CONF_METRICS_ONLY: Final = "metrics_only"
CONF_PAUSED: Final = "paused"
