"""Show HomeIQ's main job on a real Home Assistant process; `script/demo` is the command."""
