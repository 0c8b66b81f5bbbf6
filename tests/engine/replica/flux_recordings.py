r"""Hold answers of InfluxDB 2's /api/v2/query as they travel: annotated CSV with CR LF, two results, JSON errors.

No Flux server runs here (Debian has none), so these are written after InfluxDB 2's documented format and its encoder's
behaviour: all rows of ``events`` are one table after ``group()``, nulls and empty strings look alike, a line break in a
value becomes CR LF, an error after the first byte comes as a table of its own.
"""

_COLUMNS = (
    "_measurement", "area", "by", "context", "data", "device_class", "entity_id", "held", "home", "integration",
    "name", "ns", "old", "origin", "registry_id", "removed", "state", "value",
)  # fmt: skip
_TYPES = {"held": "double", "value": "double", "removed": "boolean", "ns": "long"}


def _table(result: str, columns: tuple[str, ...], rows: list[str], grouped: frozenset[str] = frozenset()) -> str:
    types = ",".join(_TYPES.get(name, "string") for name in columns)
    groups = ",".join(str(name in grouped).lower() for name in columns)
    lines = [
        f"#datatype,string,long,{types}",
        f"#group,false,false,{groups}",
        f"#default,{result},,{',' * (len(columns) - 1)}",
        f",result,table,{','.join(columns)}",
        *rows,
        "",
    ]
    return "\r\n".join(lines) + "\r\n"


LAMP_ON = (
    ',,0,light,kitchen,0123abc,01JXXXXXXXXXXXXXXXXXXXXXXX,"{""brightness"":128,""friendly_name"":""Küche, groß""}",'
    ",light.kitchen,12.5,flat 1,hue,,1790000000000000000,off,user,5f0c,,on,1"
)
TWIN = ",,0,light,kitchen,,,,,light.kitchen,,flat 1,hue,,1790000000000000001,,device,5f0c,,,"
TEXT = ',,0,sensor,,,,,,sensor.note,0.000001,flat 1,,,1790000000001000000,null,device,,,"two ""lines"", one\r\ncomma",'
GONE = ",,0,switch,,,,,,switch.old,86400,flat 1,,,1790000000002000000,on,system,,true,,"
CALL = ',,0,homeiq_call,,0123abc,,"{""entity_id"":[""light.kitchen""]}",,,,flat 1,,light.turn_on,1790000000003000000,,user,,,,1'

FIVE_EVENTS = _table("events", _COLUMNS, [LAMP_ON, TWIN, TEXT, GONE, CALL]) + _table(
    "empty",
    ("_field", "_measurement", "area", "entity_id", "home", "integration", "ns", "origin", "registry_id"),
    [
        ",,0,state,light,kitchen,light.kitchen,flat 1,hue,1790000000000000001,device,5f0c",
        ",,0,old,light,kitchen,light.kitchen,flat 1,hue,1790000000000000001,device,5f0c",
    ],
    frozenset({"_field"}),
)
"""Five events: a lamp switched on, a twin whose states are empty strings, a text, a removal, a call."""

FIRST_TWO = _table("events", _COLUMNS, [LAMP_ON, TWIN])
NEIGHBOURS = _table("events", _COLUMNS, [LAMP_ON, *(TWIN.replace("kitchen", f"l{n}") for n in range(4))])
LAST_FOUR = _table("events", _COLUMNS, [TWIN, TEXT, GONE, CALL])
LAST_TWO = _table("events", _COLUMNS, [GONE, CALL])
LAST_FIVE_BACKWARDS = _table("events", _COLUMNS, [CALL, GONE, TEXT, TWIN, LAMP_ON])
FOREIGN = _table("events", ("_measurement", "entity_id", "ns", "origin", "state"), [
    ",,0,Other,light.a,1790000000000000000,user,on",
    ",,0,light,light.a,1790000000000000001,nobody,on",
    ",,0,light,light.b,1790000000000000001,nobody,on",
    ",,0,light,light.c,1790000000000000001,nobody,on",
])  # fmt: skip
NOTHING = "\r\n"
FAILED_HALF_WAY = FIRST_TWO + (
    "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n"
    ',"runtime error @9:6-9:11: sort: memory allocation limit reached: limit 10485760 bytes",897\r\n'
)
LOGIN_PAGE = "<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"
CUT_OFF = FIRST_TWO[: FIRST_TWO.index(LAMP_ON) + 40]
NO_TIMES = _table("events", ("_measurement", "origin", "state"), [",,0,light,user,on"])
NO_BUCKET = '{"code":"not found","message":"failed to initialize execute state: could not find bucket \\"missing\\""}'
UNAUTHORIZED = '{"code":"unauthorized","message":"unauthorized access"}'
BAD_SCRIPT = '{"code":"invalid","message":"compilation failed: error @1:1-1:2: invalid statement"}'
UNAVAILABLE = '{"code":"unavailable","message":"query queue is full"}'
