"""Where installations made before ``pytest_ainsights`` look for the plugin; to be removed before the first release."""

from pytest_ainsights import insights as insights  # noqa: PLC0414  what pytest finds here
