"""Wire formats: pure translation between our request and an endpoint's HTTP, one file each."""

from evalportal.lib.plugins import PluginTable

PROTOCOLS = PluginTable("protocol", (("openai_chat", "registry.protocols.openai_chat:OpenAIChat"),))
