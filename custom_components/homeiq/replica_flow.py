"""Connect an InfluxDB server in steps: find out what it is, prove that it takes points, then ask what to send."""

from collections.abc import Mapping
from itertools import chain, count
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_TOKEN, CONF_URL

from .bucket_retention import CONF_BUCKET_DAYS, RETENTION, retention_s
from .const import (
    CONF_BEGUN_US,
    CONF_BUCKET,
    CONF_CA,
    CONF_EXCLUDE,
    CONF_HOME,
    CONF_INCLUDE,
    CONF_METRICS_ONLY,
    CONF_ORG,
    CONF_SERVER,
    CONF_SINCE_US,
    CONF_START,
    CONF_START_DAYS,
    CONF_VERIFY_READS,
    SUBENTRY_INFLUXDB,
)
from .engine.replica import InfluxError, Reason, Server, check_connection, create_bucket, detect_server
from .filter_form import bad_rule, tidy_rules
from .replica_form import (
    ACCEPT,
    BUCKET,
    CONNECTION,
    START_DAYS,
    START_EVERYTHING,
    START_KEEP,
    bad_home,
    settings_form,
    tidy,
)
from .replica_settings import influx_place, influx_settings
from .times import DAY_US, now_us

# What is put right where the server and the token are asked for.
_ABOUT_CONNECTION: Final = frozenset(
    {
        Reason.CANNOT_CONNECT,
        Reason.INVALID_AUTH,
        Reason.INVALID_CA,
        Reason.INVALID_URL,
        Reason.NO_WRITE_ACCESS,
    }
)
_SERVERS: Final[Mapping[Server, str]] = {
    Server.INFLUXDB_1: "InfluxDB 1",
    Server.INFLUXDB_2: "InfluxDB 2",
    Server.INFLUXDB_3: "InfluxDB 3",
    Server.VICTORIA_METRICS: "VictoriaMetrics",
    Server.UNKNOWN: "InfluxDB (?)",
}

type Problem = tuple[dict[str, str], dict[str, str]]
"""A form's errors and the placeholders of their texts."""


class InfluxDBSubentryFlow(ConfigSubentryFlow):
    """Connect an InfluxDB server that follows the store; everything is tested before it is kept.

    The token is in no form: where the field is left empty, the one that was entered or stored before is used.
    """

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._data: dict[str, Any] = {}
        self._server = Server.UNKNOWN
        self._missing = ""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the server and the token."""
        problem: Problem = ({}, {})
        if user_input is not None:
            problem = await self._async_find_server(user_input)
            if not problem[0]:
                return await self._async_after_server()
        return self._show_connection(problem)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the server and the token again, beginning with what is stored."""
        problem: Problem = ({}, {})
        if user_input is None:
            self._data = dict(self._get_reconfigure_subentry().data)
        else:
            problem = await self._async_find_server(user_input)
            if not problem[0]:
                return await self._async_after_server()
        return self._show_connection(problem)

    async def async_step_metrics_only(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Say what a server that keeps numbers only leaves out, and go on if that is accepted."""
        if user_input is None:
            return self.async_show_form(
                step_id="metrics_only", data_schema=ACCEPT, description_placeholders=self._told(), last_step=False
            )
        self._data |= {CONF_ORG: "", CONF_BUCKET: "", CONF_METRICS_ONLY: True}
        self._data.pop(CONF_VERIFY_READS, None)
        return await self._async_try_bucket()

    async def async_step_bucket(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the organisation and the bucket, and try them."""
        if user_input is None:
            return self._show_bucket(({}, {}))
        entered = tidy(user_input)
        self._data |= {CONF_ORG: entered.get(CONF_ORG, ""), CONF_BUCKET: entered[CONF_BUCKET]}
        if not self._data[CONF_BUCKET]:
            return self._show_bucket(({CONF_BUCKET: "name_missing"}, {}))
        if self._server is Server.INFLUXDB_2 and not self._data[CONF_ORG]:
            return self._show_bucket(({CONF_ORG: "name_missing"}, {}))
        return await self._async_try_bucket()

    async def async_step_bucket_missing(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Say in the server's words what is missing; offer to create the bucket or to name another."""
        return self.async_show_menu(
            step_id="bucket_missing",
            menu_options=["create_bucket", "bucket"],
            description_placeholders=self._told() | {"error": self._missing},
        )

    async def async_step_create_bucket(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask how long the server shall keep points, create the bucket and try it."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            try:
                await create_bucket(influx_settings(self._data), retention_s(user_input[CONF_BUCKET_DAYS]))
            except InfluxError as err:
                errors, placeholders = {"base": err.reason}, dict(err.placeholders)
            else:
                return await self._async_try_bucket()
        return self.async_show_form(
            step_id="create_bucket",
            data_schema=RETENTION,
            errors=errors,
            description_placeholders=self._told() | placeholders,
            last_step=False,
        )

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask how and what to send, and from when on."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            entered = tidy_rules(tidy(user_input))
            errors, placeholders = await self._async_settings_problem(entered)
            if not errors:
                return self._finish(entered)
        return self.async_show_form(
            step_id="settings",
            data_schema=self.add_suggested_values_to_schema(
                settings_form(self._data, again=self._again), {**self._data, **(user_input or {})}
            ),
            errors=errors,
            description_placeholders=self._told() | placeholders,
            last_step=True,
        )

    @property
    def _again(self) -> bool:
        return self.source == SOURCE_RECONFIGURE

    def _told(self) -> dict[str, str]:
        """Return all placeholders that a text may have."""
        return {
            "url": str(self._data.get(CONF_URL, "")),
            "org": str(self._data.get(CONF_ORG, "")),
            "bucket": str(self._data.get(CONF_BUCKET, "")),
            "server": _SERVERS[self._server],
            "error": "",
            "value": "",
        }

    def _show_connection(self, problem: Problem) -> SubentryFlowResult:
        shown = {name: value for name, value in self._data.items() if name != CONF_TOKEN}
        return self.async_show_form(
            step_id="reconfigure" if self._again else "user",
            data_schema=self.add_suggested_values_to_schema(CONNECTION, shown),
            errors=problem[0],
            description_placeholders=self._told() | problem[1],
            last_step=False,
        )

    def _show_bucket(self, problem: Problem) -> SubentryFlowResult:
        return self.async_show_form(
            step_id="bucket",
            data_schema=self.add_suggested_values_to_schema(BUCKET, self._data),
            errors=problem[0],
            description_placeholders=self._told() | problem[1],
            last_step=False,
        )

    async def _async_find_server(self, user_input: Mapping[str, Any]) -> Problem:
        """Take the server and the token over and find out what answers there."""
        entered = tidy(user_input)
        self._data |= {
            **entered,
            CONF_URL: entered[CONF_URL].rstrip("/"),
            CONF_TOKEN: entered.get(CONF_TOKEN) or self._data.get(CONF_TOKEN, ""),
            CONF_CA: entered.get(CONF_CA, ""),
        }
        try:
            self._server = await detect_server(influx_settings({CONF_ORG: "", CONF_BUCKET: "", **self._data}))
        except InfluxError as err:
            return {"base": err.reason}, dict(err.placeholders)
        self._data[CONF_SERVER] = self._server.value
        return {}, {}

    async def _async_after_server(self) -> SubentryFlowResult:
        if self._server is Server.VICTORIA_METRICS:
            return await self.async_step_metrics_only()
        if self._data.pop(CONF_METRICS_ONLY, False):
            # It was another kind of server.
            self._data |= {CONF_ORG: "", CONF_BUCKET: ""}
        return await self.async_step_bucket()

    async def _async_try_bucket(self) -> SubentryFlowResult:
        """Prove that the bucket takes points, and lead to where it can be put right if it does not."""
        if self._is_known():
            return self.async_abort(reason="already_configured")
        try:
            await check_connection(influx_settings(self._data))
        except InfluxError as err:
            if err.reason is Reason.BUCKET_NOT_FOUND:
                self._missing = err.placeholders["error"]
                return await self.async_step_bucket_missing()
            problem: Problem = ({"base": err.reason}, dict(err.placeholders))
            if err.reason in _ABOUT_CONNECTION or self._data.get(CONF_METRICS_ONLY):
                return self._show_connection(problem)
            return self._show_bucket(problem)
        return await self.async_step_settings()

    async def _async_settings_problem(self, entered: Mapping[str, Any]) -> Problem:
        if bad_home(entered.get(CONF_HOME, "")):
            return {CONF_HOME: "invalid_home"}, {"value": entered[CONF_HOME]}
        if (bad := bad_rule(entered)) is not None:
            return {"base": bad[0]}, {"value": bad[1]}
        if entered.get(CONF_VERIFY_READS):
            try:
                await check_connection(influx_settings({**self._data, **entered}))
            except InfluxError as err:
                return {"base": err.reason}, dict(err.placeholders)
        return {}, {}

    def _finish(self, entered: Mapping[str, Any]) -> SubentryFlowResult:
        """Keep the connection; the update listener starts or changes the replica."""
        now = now_us()
        # What the form leaves out is taken back.
        before = {name: value for name, value in self._data.items() if name not in {CONF_INCLUDE, CONF_EXCLUDE}}
        data = {**before, CONF_HOME: "", **entered}
        start = data.pop(CONF_START)
        days = data.pop(CONF_START_DAYS)
        if start != START_KEEP:
            since = {START_EVERYTHING: None, START_DAYS: now - days * DAY_US}.get(start, now)
            data |= {CONF_SINCE_US: since, CONF_BEGUN_US: now}
        if not self._again:
            return self.async_create_entry(title=self._free_title(_title(data)), data=data)
        subentry = self._get_reconfigure_subentry()
        # A title that a person has chosen stays.
        chosen = not subentry.title.startswith(_title(subentry.data))
        title = subentry.title if chosen else self._free_title(_title(data))
        return self.async_update_and_abort(self._get_entry(), subentry, title=title, data=data)

    def _is_known(self) -> bool:
        return any(influx_place(other.data) == influx_place(self._data) for other in self._others())

    def _free_title(self, title: str) -> str:
        """Return the title, with a number if another connection has it: services tell replicas by their titles."""
        taken = {other.title for other in self._others()}
        names = chain((title,), (f"{title} {number}" for number in count(2)))
        return next(name for name in names if name not in taken)

    def _others(self) -> list[ConfigSubentry]:
        own_id = self._reconfigure_subentry_id if self._again else None
        subentries = self._get_entry().subentries.values()
        return [
            other for other in subentries if other.subentry_type == SUBENTRY_INFLUXDB and other.subentry_id != own_id
        ]


def _title(data: Mapping[str, Any]) -> str:
    """Name the connection by its bucket: the title becomes part of the entities' ids, so no address is in it."""
    return f"InfluxDB {data[CONF_BUCKET]}" if data[CONF_BUCKET] else _SERVERS[Server.VICTORIA_METRICS]
