"""The errors that ainsights raises, by who must act.

::

    InsightsError
    ├── ConfigurationError      the user's settings are wrong, or ask for what is not there
    │   └── AInsightsValueError an argument of AInsights.capture() is missing; the vendor SDK's name for it
    ├── TemplateError           the user's template, or an input that it lacks
    └── DeliveryError           an insight did not arrive
        ├── RetryableError      for now: the network, or a server that is busy
        ├── RejectedError       for good: the server does not want this insight
        └── HeldError           until somebody acts: a wrong key or a wrong URL

None of them ever reaches a call of the user's to openai.
"""


class InsightsError(Exception):
    """The root of all errors that ainsights raises."""


class ConfigurationError(InsightsError, ValueError):
    """A setting is wrong. The message names the setting and what it accepts."""


class AInsightsError(InsightsError):
    """The root of the errors of the vendor's SDK, by the name that it has there."""


class AInsightsValueError(AInsightsError, ConfigurationError):
    """``AInsights.capture()`` got neither ``messages`` nor a ``template``. The name is the one of the vendor's SDK."""


class TemplateError(InsightsError, ValueError):
    """A template is malformed, or an input that it needs is missing."""


class DeliveryError(InsightsError):
    """An insight did not arrive at the endpoint."""


class RetryableError(DeliveryError):
    """The insight did not arrive this time; a later try may succeed."""


class RejectedError(DeliveryError):
    """The endpoint refused this insight for good."""


class HeldError(DeliveryError):
    """The endpoint refuses every insight until its key or its URL is put right."""
